"""Benchmarks, always beside a textbook baseline in the same run, and beside what the machine can do."""

from .memory import bench_memory
from .step import bench_step

__all__ = ["bench_memory", "bench_step"]
