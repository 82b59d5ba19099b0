"""A capture as a state stream: sizes first, then chunks from where they lie, hashed ahead."""

from __future__ import annotations

import contextlib
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.state_stream import (
    CHUNK_BYTES,
    NO_DIGEST,
    VERSION,
    ChunkRecord,
    KnownRecord,
    WindowRecord,
    cut,
)
from jupyter_remote_kernels.state import digests
from jupyter_remote_kernels.state.addresses import address_of
from jupyter_remote_kernels.state.capture import Capture, Group, Pickled, group_kind
from jupyter_remote_kernels.state.session import read_session
from jupyter_remote_kernels.state.window import open_window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jupyter_remote_kernels.state.window import Window
    from jupyter_remote_kernels.state.wire import Writer

_AHEAD = 8
# Smaller chunks are not worth a place in a window.
_LEAST_BYTES = 64 << 10
# So many in a window are told of together.
_MOST_UNTOLD = 4


def join_pieces(pieces: Iterable[Any]) -> Iterator[Any]:
    """Put the pieces of a stream into chunks."""
    waiting: list[Any] = []
    size = 0
    for piece in pieces:
        for part in cut(piece):
            if size + part.nbytes > CHUNK_BYTES:
                rest = CHUNK_BYTES - size
                yield b"".join([*waiting, part[:rest]])
                waiting, size = [part[rest:]], part.nbytes - rest
            else:
                waiting.append(part)
                size += part.nbytes
    if size:
        yield b"".join(waiting)


class Sender:
    """Writes the parts of groups.

    Parameters
    ----------
    writer : Writer
        Where they go.
    hashes : bool
        Whether chunks carry their digest.
    known : set of bytes
        Digests of chunks that need not be sent.
    notes : bool
        Whether chunks without a digest are noted, to be recognised in the next capture.
    window : Window, optional
        For large chunks.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        hashes: bool,
        known: set[bytes],
        notes: bool = False,
        window: Window | None = None,
    ) -> None:
        self.writer = writer
        self._window = window
        self._untold = 0
        self._notes = notes
        self._known = known
        self._hashes = hashes

    def send(self, parts: Iterable[Iterator[Any]]) -> None:
        """Send the chunks of parts; their digests are computed beside the sending."""
        chunks = (chunk for part in parts for chunk in part)
        if not self._hashes:
            for chunk in chunks:
                if self._notes:
                    digests.note(chunk)
                self._write(NO_DIGEST, chunk)
            return
        with ThreadPoolExecutor(digests.THREADS, thread_name_prefix="jrk-digest") as pool:
            ahead: list[tuple[Any, Any]] = []
            for chunk in chunks:
                ahead.append((chunk, pool.submit(digests.digest_chunk, chunk)))
                if len(ahead) > _AHEAD:
                    self._send_chunk(*ahead.pop(0))
            for chunk, digest in ahead:
                self._send_chunk(chunk, digest)

    def _send_chunk(self, chunk: Any, future: Any) -> None:
        digest = future.result()
        size = memoryview(chunk).nbytes
        if digest in self._known:
            self.writer.write(KnownRecord(digest, size).encode())
        else:
            self._known.add(digest)
            self._write(digest, chunk)

    def _write(self, digest: bytes, chunk: Any) -> None:
        size = memoryview(chunk).nbytes
        if self._window is None or size < _LEAST_BYTES:
            self.writer.write(ChunkRecord(digest, chunk).encode())
            return
        offset = self._window.put(chunk, self.writer.flush)
        self.writer.write(WindowRecord(digest, offset, size).encode())
        self._untold += 1
        if self._untold >= _MOST_UNTOLD:
            self._untold = 0
            self.writer.flush()


def describe_group(number: int, group: Group) -> tuple[dict[str, Any], list[memoryview]]:
    """Return a group's record and its buffers, each of them once.

    A single's buffers mostly lie where the group's do; only their numbers are repeated.
    """
    buffers = list(group.pickled.buffers)
    numbers = {(address_of(view), view.nbytes): n for n, view in enumerate(buffers)}
    singles: dict[str, Any] = {}
    for variable in group.singles:
        pickled = variable.pickled
        if pickled is None:
            continue
        own = []
        for view in pickled.buffers:
            key = (address_of(view), view.nbytes)
            if key not in numbers:
                numbers[key] = len(buffers)
                buffers.append(view)
            own.append(numbers[key])
        singles[variable.name] = {"stream_bytes": pickled.size, "buffers": own}
    facts = {
        "type": "group",
        "id": number,
        "names": [variable.name for variable in group.variables],
        "kind": group_kind(group),
        "stream_bytes": group.pickled.size,
        "singles": singles,
        "buffers": [{"size": view.nbytes} for view in buffers],
    }
    texts = [n for n, view in enumerate(buffers) if address_of(view) in group.pickled.texts]
    if texts:
        facts["texts"] = texts
    packages = group.pickled.needs.packages
    if packages:
        facts["packages"] = packages
    return facts, buffers


def send_capture(shell: Any, command: dict[str, Any], known: set[bytes], writer: Writer) -> None:
    """Capture and send everything.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    command : dict
        ``names``, ``hash``, ``notes``, ``window`` and ``session``.
    known : set of bytes
        Digests of chunks that need not be sent.
    writer : Writer
        Where it goes.
    """
    target = command.get("target")
    capture = Capture(shell, command.get("names"), keeps=True, target=target)
    window = open_window(command.get("window"))
    with (
        contextlib.closing(capture),
        contextlib.closing(window) if window else contextlib.nullcontext(),
    ):
        sender = Sender(
            writer,
            hashes=_hashes(command),
            known=known,
            notes=bool(command.get("notes")),
            window=window,
        )
        _send(shell, capture, command, sender)


def _hashes(command: dict[str, Any]) -> bool:
    return bool(command.get("hash") == "sha256")


def _send(shell: Any, capture: Capture, command: dict[str, Any], sender: Sender) -> None:
    names, writer = command.get("names"), sender.writer
    session = b""
    if command.get("session", names is None):
        session = read_session(shell, lambda facts: _join(capture.pickle(facts, "")))
    capture.probe()
    groups = capture.group()
    described = [describe_group(number, group) for number, group in enumerate(groups)]
    total = len(session) + sum(_total(facts) for facts, _ in described)
    writer.json(
        {
            "type": "begin",
            "version": VERSION,
            "hash": "sha256" if _hashes(command) else "none",
            "capture": digests.begin_notes() if command.get("notes") else "",
            "total_bytes": total,
            "python": platform.python_version(),
            "implementation": sys.implementation.name,
            "files": [],
        }
    )
    if session:
        facts = {"type": "session", "stream_bytes": len(session), "singles": {}, "buffers": []}
        writer.json(facts)
        sender.send([cut(session)])
    for (facts, buffers), group in zip(described, groups):
        writer.json(facts)
        streams = [group.pickled, *(each.pickled for each in group.singles if each.pickled)]
        sender.send([join_pieces(each.pieces) for each in streams] + [cut(b) for b in buffers])
    writer.json({"type": "end", "variables": capture.report()})


def _join(pickled: Pickled) -> bytes:
    return b"".join(bytes(piece) for piece in pickled.pieces)


def _total(facts: dict[str, Any]) -> int:
    singles = sum(single["stream_bytes"] for single in facts["singles"].values())
    return int(facts["stream_bytes"] + singles + sum(each["size"] for each in facts["buffers"]))
