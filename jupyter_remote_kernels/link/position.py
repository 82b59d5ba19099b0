"""How far a link has come, in a file that outlives the process at any moment."""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from typing import TYPE_CHECKING

from jupyter_remote_kernels.protocol.resumable import SESSION_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_FORM = struct.Struct("<16sQQ")
_NUMBER = struct.Struct("<Q")


class LinkPosition:
    """The name of a link's session, what of it is finished, and what was handed on.

    The file is mapped into memory: noting a number costs nothing, and what was noted is there
    for the next process, however this one ends.

    Parameters
    ----------
    path : Path or None
        The file, read if it is there; None keeps it in memory only.

    Raises
    ------
    OSError
        When the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        if path is None:
            self._map = mmap.mmap(-1, _FORM.size)
            self.forget()
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(descriptor).st_size != _FORM.size:
                # Really written, because a mapped file without room on its disk is fatal.
                os.pwrite(descriptor, _new(), 0)
                os.ftruncate(descriptor, _FORM.size)
            self._map = mmap.mmap(descriptor, _FORM.size)
        finally:
            os.close(descriptor)

    @property
    def session(self) -> bytes:
        """Names the session with the agent."""
        name: bytes = _FORM.unpack_from(self._map)[0]
        return name

    @property
    def finished(self) -> int:
        """The number of the last frame that is dealt with for good."""
        number: int = _FORM.unpack_from(self._map)[1]
        return number

    @finished.setter
    def finished(self, number: int) -> None:
        _NUMBER.pack_into(self._map, SESSION_BYTES, number)

    @property
    def delivered(self) -> int:
        """The number of the last message that was given to clients, who must not get it again.

        It runs ahead of what is finished, which is written in larger steps.
        """
        number: int = _FORM.unpack_from(self._map)[2]
        return number

    @delivered.setter
    def delivered(self, number: int) -> None:
        _NUMBER.pack_into(self._map, SESSION_BYTES + _NUMBER.size, number)

    def forget(self) -> None:
        """Begin another session."""
        self._map[:] = _new()

    def close(self) -> None:
        """Give the file back; it stays."""
        self._map.close()


def _new() -> bytes:
    return _FORM.pack(secrets.token_bytes(SESSION_BYTES), 0, 0)
