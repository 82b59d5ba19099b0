"""The one ZMQ context of all bridges of a process."""

from __future__ import annotations

import resource
from typing import TypeAlias

import zmq

# libzmq's own default of 1023 sockets ends at about 200 kernels.
_MAX_SOCKETS = 65_000


Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"


def make_context() -> Context:
    """Return a context that is large enough, and let the process have enough descriptors."""
    context: Context = zmq.Context()
    # Must come before the first socket; afterwards libzmq ignores it.
    context.set(zmq.MAX_SOCKETS, min(_MAX_SOCKETS, context.get(zmq.SOCKET_LIMIT)))
    raise_descriptor_limit()
    return context


def raise_descriptor_limit() -> int:
    """Raise this process's limit of open files to what it may have.

    Returns
    -------
    int
        The limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1_048_576
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft  # a sandbox may forbid it; the old limit stays
    return wanted
