"""Benchmarks: each beside a textbook implementation in the same run. Figures are in RESULTS.md."""

from .step import bench_step
from .transfer import bench_transfer
