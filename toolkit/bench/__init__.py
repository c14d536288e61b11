"""Benchmarks: each beside a textbook implementation in the same run. Figures are in RESULTS.md."""

from .memory import bench_memory
from .normalize import bench_normalize
from .step import bench_step
from .transfer import bench_transfer
