"""Benchmarks of the compiled core and the recorder against their peers; see docs/benchmarks.md."""
