"""Benchmarks that hold the product to ratios: each measures its own floor in the same run. See docs/benchmarks.md."""
