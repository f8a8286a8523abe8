"""Benchmarks, which `make bench` and `make load` run."""
