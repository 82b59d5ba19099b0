"""How the agent gives memory back that large messages have taken."""

from __future__ import annotations

import contextlib
import ctypes

# glibc's number of the option, see mallopt(3).
_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1024 * 1024


def return_large_blocks() -> None:
    """Let the C library give each large block back as soon as it is free.

    By default glibc learns from the first large blocks to keep the next ones: after a flood of
    output an agent would keep a hundred megabytes for nothing. Does nothing elsewhere.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
