"""The state of a kernel in one sealed file beside its agent, for a server that is away."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import AgentError
from jupyter_remote_kernels.protocol.settings import BUNDLE_FILE

if TYPE_CHECKING:
    from jupyter_remote_kernels.exchange.call import StateCall
    from jupyter_remote_kernels.protocol.sealing import Sealer
    from jupyter_remote_kernels.protocol.state_stream import StreamReader


class _Bundle:
    """The file while it is written, and what is known about what goes into it."""

    def __init__(self, path: str, sealer: Sealer, reader: StreamReader) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._sealer = sealer
        self._reader = reader
        self._has_ended = False
        self._file.write(sealer.head)

    def add(self, data: bytes) -> None:
        """Take a part of the state stream; called in a thread, since it computes and writes."""
        from jupyter_remote_kernels.protocol.state_stream import JsonRecord

        for record in self._reader.feed(data):
            kind = record.value.get("type") if isinstance(record, JsonRecord) else None
            if kind == "error":
                told = record.value  # type: ignore[union-attr]
                raise AgentError(str(told.get("message")), reason=str(told.get("reason")))
            self._has_ended = kind == "end"
        self._write(self._sealer.seal(data))

    def finish(self) -> None:
        """Make it whole; called in a thread."""
        if not self._has_ended:
            raise AgentError("the kernel's state has no end", reason="capture_failed")
        self._write(self._sealer.seal(b"", is_last=True))
        os.fsync(self._file.fileno())

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            view = view[self._file.write(view) :]

    def close(self) -> None:
        self._file.close()


async def write_bundle(call: StateCall, directory: str, secret: str) -> None:
    """Write a kernel's whole state into the runtime's directory: all of it, or nothing.

    Parameters
    ----------
    call : StateCall
        The kernel is in it.
    directory : str
        The runtime's.
    secret : str
        The runtime's own; whoever knows it can open the file.

    Raises
    ------
    AgentError
        When the kernel does not give its state.
    OSError
        When it cannot be written.
    """
    # Only now: most agents never come to this, and all have to start fast.
    from jupyter_remote_kernels.protocol.sealing import FRAME_BYTES, Sealer
    from jupyter_remote_kernels.protocol.state_stream import StreamReader, encode_json

    path = os.path.join(directory, BUNDLE_FILE)
    bundle = _Bundle(path + ".new", Sealer(secret.encode()), StreamReader())
    try:
        for command in ({"op": "capture", "names": None, "hash": "none"}, {"op": "go"}):
            await call.send(encode_json(command))
        room = memoryview(bytearray(FRAME_BYTES))
        while size := await call.receive_into(room):
            await asyncio.to_thread(bundle.add, bytes(room[:size]))
        await asyncio.to_thread(bundle.finish)
        await asyncio.to_thread(_publish, path)
    except BaseException:  # whatever it was: half a state is none
        with contextlib.suppress(OSError):
            os.unlink(path + ".new")
        raise
    finally:
        bundle.close()


def _publish(path: str) -> None:
    """Make the file seen, whole, also after the machine's power was cut."""
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
