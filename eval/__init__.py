"""Measures what was exported: `python -m eval.test_lfw` and its like, one protocol each."""
