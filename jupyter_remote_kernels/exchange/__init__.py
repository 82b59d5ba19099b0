"""Calling a kernel for its state, from whatever process sits beside it.

The agent does so for its kernel, and the Jupyter server for the ordinary kernels of its own. One
kind of call for each language; all of them speak the state stream. Never knows where the bytes
come from or go to, and runs on Python 3.9 with what ipykernel brings.
"""
