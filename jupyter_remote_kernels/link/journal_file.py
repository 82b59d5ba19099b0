"""One execution's transcript on disk: append-only files that a killed process cannot spoil.

A transcript is a row of segments, so that its oldest messages can be dropped without writing the
rest again. A segment is a row of entries::

    kind (1 byte)  number (u64)  length (u64)  payload

all little-endian. Its first entry, ``H``, has the facts that were known when it was begun. ``S``
changes facts, ``M`` is a message in the framing of a websocket, with its number on the link. What
a killed process had not finished to write is cut off when the segment is opened again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.websocket_frames import coalesce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jupyter_remote_kernels.protocol.frames import Buffer

_HEAD = struct.Struct("<cQQ")
_KINDS = frozenset((b"H", b"S", b"M"))
# Facts are short, because ids of requests and cells are.
_LONGEST_BEGINNING = 16 * 1024
# A name says which execution, counted from the first one on, and which part of it.
_NAME = re.compile(r"([0-9]{10})-([0-9]{10})\.outputs")


@dataclass
class Facts:
    """What is known about one execution.

    Attributes
    ----------
    msg_id, cell_id : str
        The request, and the notebook's cell that it came from.
    started_s : float
        When it was asked for, in seconds since the epoch.
    finished_s : float or None
        When it had both its reply and its last ``idle``.
    execution_count : int or None
        The cell's prompt number, once known.
    has_reply, is_idle, pending_input, is_secret : bool
        What has come of it; whether it waits for an answer of the user, which nobody may see.
    messages, dropped_messages : int
        Messages until now, and how many of them have been dropped.
    number : int
        The last message's number on the link; 0 is none.
    """

    msg_id: str
    cell_id: str
    started_s: float
    finished_s: float | None = None
    execution_count: int | None = None
    has_reply: bool = False
    is_idle: bool = False
    pending_input: bool = False
    is_secret: bool = False
    messages: int = 0
    dropped_messages: int = 0
    number: int = 0


@dataclass
class Segment:
    """One file of a transcript.

    Attributes
    ----------
    path : Path
        Where it is.
    base : int
        The position of its first byte in the whole transcript.
    before : int
        How many messages the segments before it had.
    size : int
        How much of it is written, in bytes.
    """

    path: Path
    base: int
    before: int
    size: int = 0


@dataclass(frozen=True)
class Entry:
    """One entry, from where to where it goes."""

    kind: bytes
    number: int
    payload: memoryview = field(repr=False)
    start: int
    end: int


def parse_entries(data: Buffer, position: int = 0) -> Iterator[Entry]:
    """Yield the whole entries of a segment; stops at what is torn or makes no sense."""
    view = memoryview(data)
    while position + _HEAD.size <= view.nbytes:
        kind, number, length = _HEAD.unpack_from(view, position)
        first = position + _HEAD.size
        if kind not in _KINDS or length == 0 or length > view.nbytes - first:
            return
        start, position = position, first + length
        yield Entry(kind, number, view[first:position], start, position)


def list_segments(directory: Path) -> dict[int, list[Path]]:
    """Return the segments in a directory by their execution, each in order."""
    found: dict[int, list[Path]] = {}
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return {}
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match:
            found.setdefault(int(match[1]), []).append(path)
    return found


class Transcript:
    """What one execution has put out, in memory only as far as it is not written yet.

    Parameters
    ----------
    facts : Facts
        What is known about the execution.
    sequence : int
        Its place among the executions; also in the names of its files.
    segment_bytes : int
        When a segment is as large as that, the next one is begun.

    Attributes
    ----------
    is_broken : bool
        Whether it could not be written once; then all that follows is dropped and counted.
    pending_bytes, size_bytes : int
        What is not written yet, and what is.
    """

    def __init__(self, facts: Facts, sequence: int, segment_bytes: int) -> None:
        self.facts = facts
        self.sequence = sequence
        self.is_broken = False
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._pending: list[Buffer] = []
        self._pending_messages = 0
        self._written_number = 0
        self.pending_bytes = 0
        self.size_bytes = 0
        self._descriptor: int | None = None
        self._is_fresh = True  # the next write begins a segment

    @classmethod
    def load(cls, paths: Sequence[Path], sequence: int, segment_bytes: int) -> Transcript | None:
        """Open what another process has written; returns None when nothing of it is whole."""
        segments: list[Segment] = []
        facts: Facts | None = None
        for path in reversed(paths):
            # A later segment's beginning says all that has to be known about an earlier one.
            loaded = _load_segment(path, is_last=facts is None)
            if loaded is None:
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            segment, found = loaded
            facts = facts or found
            if segments:
                segment.size = segments[0].base - segment.base
            segments.insert(0, segment)
        if facts is None:
            return None
        transcript = cls(facts, sequence, segment_bytes)
        transcript._written_number = facts.number
        transcript._segments = segments
        transcript.size_bytes = sum(segment.size for segment in segments)
        transcript._is_fresh = segments[-1].size >= segment_bytes
        return transcript

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Copies of the segments: what is written until now."""
        return tuple(replace(segment) for segment in self._segments)

    @property
    def is_unheard(self) -> bool:
        """Whether it runs, and no kernel has said a word about it yet."""
        facts = self.facts
        return facts.finished_s is None and not facts.number and not facts.execution_count

    @property
    def can_shrink(self) -> bool:
        """Whether there is an older segment than the one that is being written."""
        return len(self._segments) > 1

    @property
    def oldest_messages(self) -> int:
        """How many messages are in the oldest segment."""
        return self._segments[1].before - self._segments[0].before

    def add(self, number: int, encoded: Buffer) -> None:
        """Take a message; it is written by the next flush."""
        length = encoded.nbytes if isinstance(encoded, memoryview) else len(encoded)
        self._pending += (_HEAD.pack(b"M", number, length), encoded)
        self.pending_bytes += length
        self._pending_messages += 1
        self.facts.messages += 1
        if number:
            self.facts.number = number

    def change(self, **changes: Any) -> None:
        """Change facts; comes before the message that they are from, so that none is missed."""
        for name, value in changes.items():
            setattr(self.facts, name, value)
        payload = _pack(changes)
        self._pending += (_HEAD.pack(b"S", 0, len(payload)), payload)
        self.pending_bytes += len(payload)

    def renumber(self) -> None:
        """Take messages from number 1 on again."""
        self._written_number = 0
        self.change(number=0)

    def flush(self, make_directory: Callable[[], Path]) -> None:
        """Write what has been taken.

        Parameters
        ----------
        make_directory : callable
            Returns where a new segment goes; may raise ``OSError``.

        Raises
        ------
        OSError
            When it cannot be written. Then it is dropped, and so is all that follows.
        """
        pending, self._pending = self._pending, []
        count, self._pending_messages = self._pending_messages, 0
        self.pending_bytes = 0
        if self.is_broken:
            self.facts.dropped_messages += count
            return
        try:
            if self._is_fresh:
                self._begin_segment(make_directory(), count)
            self._write(coalesce(pending))
        except OSError:
            self.is_broken = True
            self.facts.dropped_messages += count
            self._cut()
            raise
        self._written_number = self.facts.number
        self._is_fresh = self._segments[-1].size >= self._segment_bytes

    def begin_segment(self) -> None:
        """Write what comes next into a new segment."""
        self._is_fresh = True

    def drop_oldest(self) -> None:
        """Drop the oldest segment."""
        oldest = self._segments.pop(0)
        self.size_bytes -= oldest.size
        with contextlib.suppress(OSError):  # its directory has been removed already
            oldest.path.unlink()

    def remove(self) -> None:
        """Remove the files."""
        self.close()
        for segment in self._segments:
            with contextlib.suppress(OSError):  # its directory has been removed already
                segment.path.unlink()
        self._segments = []
        self.size_bytes = 0

    def close(self) -> None:
        """Give the descriptor back; the next flush opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _begin_segment(self, directory: Path, unwritten: int) -> None:
        self.close()
        base = self._segments[-1].base + self._segments[-1].size if self._segments else 0
        before = self.facts.messages - unwritten
        # A position never comes back, so it also names the part.
        path = directory / f"{self.sequence:010}-{base:010}.outputs"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segments.append(Segment(path, base, before))
        # Not the number of what is yet to be written: it would not be taken a second time.
        facts = {**asdict(self.facts), "number": self._written_number}
        payload = _pack({"base": base, "before": before, **facts})
        self._write([_HEAD.pack(b"H", 0, len(payload)) + payload])

    def _write(self, chunks: Sequence[Buffer]) -> None:
        segment = self._segments[-1]
        if self._descriptor is None:
            self._descriptor = os.open(segment.path, os.O_WRONLY | os.O_APPEND)
        written = 0
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                count = os.write(self._descriptor, view)
                written += count
                view = view[count:]
        # Only now: what was written by half is cut off again.
        segment.size += written
        self.size_bytes += written

    def _cut(self) -> None:
        """Take back what was written by half."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._segments[-1].size)
        self.close()


def _load_segment(path: Path, *, is_last: bool) -> tuple[Segment, Facts] | None:
    """Read a segment's facts; of the last one also what came after its beginning."""
    try:
        with path.open("rb") as file:
            data = file.read() if is_last else file.read(_LONGEST_BEGINNING)
    except OSError:
        return None
    entries = parse_entries(data)
    head = next(entries, None)
    if head is None or head.kind != b"H":
        return None
    try:
        fields = json.loads(bytes(head.payload))
        segment = Segment(path, int(fields.pop("base")), int(fields.pop("before")), head.end)
        facts = Facts(**fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    facts.messages = segment.before
    for entry in entries if is_last else ():
        segment.size = entry.end
        if entry.kind == b"M":
            facts.messages += 1
            facts.number = entry.number or facts.number
        elif entry.kind == b"S":
            _apply(facts, bytes(entry.payload))
    if is_last and segment.size < len(data):
        os.truncate(path, segment.size)
    return segment, facts


def _apply(facts: Facts, payload: bytes) -> None:
    with contextlib.suppress(ValueError, AttributeError):
        for name, value in json.loads(payload).items():
            if hasattr(facts, name):
                setattr(facts, name, value)


def _pack(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode()
