"""What a process shows of itself in /proc: its command line and its label. Linux only.

Both lie in memory that the operating system filled at exec, so a forked process shows its
parent's. It is the process's own memory, which it may write.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jupyter_remote_kernels.protocol.nursery import (
    ARGUMENT_ROOM_BYTES,
    LABEL_VARIABLE,
    ROOM,
    ROOM_VARIABLE,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# Positions in /proc/<pid>/stat, counted after the name in parentheses.
_ARG_START, _ENV_END = 45, 48


class Title:
    """The places of the command line and of the label in this process's memory.

    Found once, before the first fork, and then good for every process that is forked.

    Raises
    ------
    OSError
        When the operating system does not show or let us write this memory.
    """

    def __init__(self) -> None:
        with open("/proc/self/stat", "rb") as file:
            text = file.read()
        fields = text[text.rindex(b")") + 2 :].split()
        start, end, env_start, env_end = map(int, fields[_ARG_START : _ENV_END + 1])
        self._arguments = (start, end - start)
        room = f"{ROOM_VARIABLE}={ROOM}".encode()
        environment = _read(env_start, env_end - env_start)
        found = environment.find(room)
        if found < 0 or end - start < ARGUMENT_ROOM_BYTES:
            raise OSError("the memory of the command line and the environment was not found")
        self._variable = (env_start + found, len(room))
        # Changes nothing, and shows whether it is allowed.
        _write(*self._variable, room)

    def label(self, label: str) -> None:
        """Show a label in ``/proc/<pid>/environ``."""
        _write(*self._variable, os.fsencode(f"{LABEL_VARIABLE}={label}"))

    def command(self, argv: Sequence[str]) -> None:
        """Show another command line; one that is too long is cut."""
        address, size = self._arguments
        text = b"".join(os.fsencode(part) + b"\0" for part in argv)
        # The last byte stays zero, or the system would take the environment for arguments too.
        _write(address, size, text[: size - 1])


def _read(address: int, size: int) -> bytes:
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), size, address)


def _write(address: int, size: int, text: bytes) -> None:
    if len(text) > size:
        raise OSError(f"{len(text)} bytes do not fit into {size}")
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        os.pwrite(memory.fileno(), text.ljust(size, b"\0"), address)
