"""Benchmarks: each beside a textbook implementation in the same run. Figures are in RESULTS.md."""

from .normalize import bench_normalize
from .step import bench_step
from .transfer import bench_transfer
