"""Benchmarks against a plain local kernel, the stock server and a kernel gateway.

Each is run as ``python -m benchmarks.<name>``, measures its variants interleaved in one run,
prints a table with ratios and writes JSON. None of them fails because of a time.
"""
