"""The state stream: one format for what a kernel says in a capture and is fed in a restore.

The same bytes go through agents, into snapshots, from kernel to kernel, and into downloaded
files. This module is sent into kernels too, so it needs nothing but the standard library.

::

    record = kind (1 byte) + length (8 bytes, little-endian) + payload of that length
    J  a JSON object, which has "type" (or, towards a kernel, "op")
    D  a chunk: digest (32 bytes) + data
    K  a chunk that the receiver already has: digest (32) + size (8)
    F  a chunk in a file of this machine: digest (32) + offset (8) + size (8) + file index (4)
    W  a chunk in memory that both sides share: digest (32) + offset (8) + size (8)
    H  digests of chunks that the asking side already has: n * 32 bytes

    stream = J begin, then for each group and for the session: J group and its chunks, J end
    or J error in any place, which ends the stream and makes it void.

A group's chunks are those of its stream, then of each single's stream in the order of
``singles``, then of each buffer. Each of these parts begins a new chunk; an empty part has none.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION = 1
CHUNK_BYTES = 1 << 20
DIGEST_BYTES = 32
NO_DIGEST = bytes(DIGEST_BYTES)
HEAD_BYTES = 9
JSON_LIMIT_BYTES = 64 << 20

Buffer = Union[bytes, bytearray, memoryview]

_HEAD = struct.Struct("<cQ")
_KNOWN = struct.Struct("<32sQ")
_FILE = struct.Struct("<32sQQI")
_WINDOW = struct.Struct("<32sQQ")
_LIMITS = {
    b"J": JSON_LIMIT_BYTES,
    b"D": CHUNK_BYTES + DIGEST_BYTES,
    b"K": _KNOWN.size,
    b"F": _FILE.size,
    b"W": _WINDOW.size,
    b"H": JSON_LIMIT_BYTES,
}


@dataclass(frozen=True)
class JsonRecord:
    """A JSON object.

    Attributes
    ----------
    value : dict
        What it says.
    """

    value: dict[str, Any]

    def encode(self) -> list[Buffer]:
        """Return the record as buffers, to be written one after the other."""
        text = json.dumps(self.value, separators=(",", ":")).encode("ascii")
        if len(text) > JSON_LIMIT_BYTES:
            raise _bad("a JSON record that is too large")
        return [_HEAD.pack(b"J", len(text)), text]


@dataclass(frozen=True)
class ChunkRecord:
    """A chunk with its data.

    Attributes
    ----------
    digest : bytes
        Its SHA-256, or :data:`NO_DIGEST` in a stream without digests.
    data : bytes-like
        At most :data:`CHUNK_BYTES`; never empty.
    """

    digest: bytes
    data: Buffer

    def encode(self) -> list[Buffer]:
        """Return the record as buffers; the last one is the data itself, not a copy."""
        view = memoryview(self.data)
        if not 0 < view.nbytes <= CHUNK_BYTES or len(self.digest) != DIGEST_BYTES:
            raise _bad("a chunk of a wrong size")
        return [_HEAD.pack(b"D", DIGEST_BYTES + view.nbytes) + self.digest, view]

    @property
    def size(self) -> int:
        """How many bytes of state it stands for."""
        return memoryview(self.data).nbytes


@dataclass(frozen=True)
class KnownRecord:
    """A chunk whose data the receiver already has.

    Attributes
    ----------
    digest : bytes
        Its SHA-256.
    size : int
        Its bytes.
    """

    digest: bytes
    size: int

    def encode(self) -> list[Buffer]:
        """Return the record as buffers, to be written one after the other."""
        return [_HEAD.pack(b"K", _KNOWN.size) + _KNOWN.pack(self.digest, self.size)]


@dataclass(frozen=True)
class FileRecord:
    """A chunk in a file that the kernel can open, or a run of chunks when there is no digest.

    Attributes
    ----------
    digest : bytes
        Its SHA-256.
    offset : int
        Where it begins in the file.
    size : int
        Its bytes.
    file : int
        Index into ``files`` of the stream's beginning.
    """

    digest: bytes
    offset: int
    size: int
    file: int

    def encode(self) -> list[Buffer]:
        """Return the record as buffers, to be written one after the other."""
        payload = _FILE.pack(self.digest, self.offset, self.size, self.file)
        return [_HEAD.pack(b"F", _FILE.size) + payload]


@dataclass(frozen=True)
class WindowRecord:
    """A chunk in memory that sender and receiver share.

    Attributes
    ----------
    digest : bytes
        Its SHA-256, or :data:`NO_DIGEST` in a stream without digests.
    offset : int
        Where it begins in the memory.
    size : int
        Its bytes.
    """

    digest: bytes
    offset: int
    size: int

    def encode(self) -> list[Buffer]:
        """Return the record as buffers, to be written one after the other."""
        return [_HEAD.pack(b"W", _WINDOW.size) + _WINDOW.pack(self.digest, self.offset, self.size)]


@dataclass(frozen=True)
class DigestsRecord:
    """Digests of chunks that the asking side already has.

    Attributes
    ----------
    digests : tuple of bytes
        32 bytes each.
    """

    digests: tuple[bytes, ...]

    def encode(self) -> list[Buffer]:
        """Return the record as buffers, to be written one after the other."""
        payload = b"".join(self.digests)
        if len(payload) != DIGEST_BYTES * len(self.digests) or len(payload) > JSON_LIMIT_BYTES:
            raise _bad("digests of a wrong size")
        return [_HEAD.pack(b"H", len(payload)), payload]


Record = Union[JsonRecord, ChunkRecord, KnownRecord, FileRecord, WindowRecord, DigestsRecord]
AnyChunk = Union[ChunkRecord, KnownRecord, FileRecord]


def _bad(what: str) -> InvalidInput:
    return InvalidInput(f"The state stream has {what}.", reason="bad_state_stream")


def digest_of(data: Buffer) -> bytes:
    """Return the digest by which a chunk is known."""
    return hashlib.sha256(data).digest()


def encode_json(value: dict[str, Any]) -> bytes:
    """Encode a JSON record into one piece."""
    return b"".join(JsonRecord(value).encode())


def encode_digests(digests: Iterable[bytes]) -> list[Buffer]:
    """Encode digests into as many records as they need."""
    most = JSON_LIMIT_BYTES // DIGEST_BYTES
    every = list(digests)
    buffers: list[Buffer] = []
    for start in range(0, len(every), most):
        buffers += DigestsRecord(tuple(every[start : start + most])).encode()
    return buffers


def cut(data: Buffer) -> Iterator[memoryview]:
    """Cut one part of a group into its chunks, without copying."""
    view = memoryview(data).cast("B")
    for start in range(0, view.nbytes, CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]


def parse_head(head: Buffer) -> tuple[bytes, int]:
    """Read the first :data:`HEAD_BYTES` of a record.

    Returns
    -------
    kind : bytes
        One letter.
    length : int
        How many bytes of payload follow.

    Raises
    ------
    InvalidInput
        When there is no such kind, or it is longer than its kind can be.
    """
    kind, length = _HEAD.unpack(head)
    limit = _LIMITS.get(kind)
    if limit is None:
        raise _bad("a record of an unknown kind")
    if length > limit:
        raise _bad("a record that is too long")
    return kind, length


def parse_record(kind: bytes, payload: Buffer) -> Record:
    """Read a whole record; a chunk's data are a view into the payload.

    Raises
    ------
    InvalidInput
        When it is not what its kind says.
    """
    view = memoryview(payload)
    if kind == b"J":
        return JsonRecord(_parse_json(view))
    if kind == b"D":
        if view.nbytes <= DIGEST_BYTES:
            raise _bad("a chunk without data")
        return ChunkRecord(bytes(view[:DIGEST_BYTES]), view[DIGEST_BYTES:])
    if kind == b"H":
        if view.nbytes % DIGEST_BYTES:
            raise _bad("digests of a wrong size")
        starts = range(0, view.nbytes, DIGEST_BYTES)
        return DigestsRecord(tuple(bytes(view[a : a + DIGEST_BYTES]) for a in starts))
    try:
        if kind == b"K":
            return KnownRecord(*_KNOWN.unpack(view))
        if kind == b"W":
            return WindowRecord(*_WINDOW.unpack(view))
        return FileRecord(*_FILE.unpack(view))
    except struct.error:
        raise _bad("a record of a wrong length") from None


def _parse_json(view: memoryview) -> dict[str, Any]:
    try:
        value = json.loads(bytes(view).decode("utf-8"))
    except (ValueError, RecursionError):
        raise _bad("a record that is not JSON") from None
    if not isinstance(value, dict):
        raise _bad("a JSON record that is no object")
    return value


class StreamReader:
    """Decodes a stream as its bytes come; holds at most one unfinished record.

    Chunk data are views, possibly into what was fed: whoever feeds a buffer must not change it
    before the records of that call are done with.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._kind = b""
        self._missing = 0
        self._payload = bytearray()

    @property
    def is_between_records(self) -> bool:
        """Whether nothing of an unfinished record is held: the stream may end here."""
        return not self._head and not self._kind

    def feed(self, data: Buffer) -> list[Record]:
        """Take the next bytes and return the records that are complete now.

        Raises
        ------
        InvalidInput
            When it is no state stream; the reader is of no use afterwards.
        """
        records: list[Record] = []
        view = memoryview(data).cast("B")
        at = 0
        while True:
            if not self._kind:
                taken = view[at : at + HEAD_BYTES - len(self._head)]
                self._head += taken
                at += taken.nbytes
                if len(self._head) < HEAD_BYTES:
                    return records
                self._kind, self._missing = parse_head(self._head)
                self._head = bytearray()
            piece = view[at : at + self._missing]
            at += piece.nbytes
            self._missing -= piece.nbytes
            if self._missing:
                self._payload += piece
                return records
            if self._payload:
                self._payload += piece
                piece = memoryview(self._payload)
                self._payload = bytearray()
            kind, self._kind = self._kind, b""
            records.append(parse_record(kind, piece))


@dataclass(frozen=True)
class Part:
    """One run of chunks of a group.

    Attributes
    ----------
    kind : str
        ``stream``, ``single`` or ``buffer``.
    name : str
        The variable of a single; empty otherwise.
    index : int
        The number of a buffer, or of a single in its order; 0 for the stream.
    size : int
        Its bytes.
    """

    kind: str
    name: str
    index: int
    size: int


def list_parts(group: dict[str, Any]) -> list[Part]:
    """Return the parts of a group (or of the session) in the order in which they are sent.

    Raises
    ------
    InvalidInput
        When the record does not say their sizes.
    """
    try:
        parts = [Part("stream", "", 0, _size(group["stream_bytes"]))]
        for index, (name, single) in enumerate(group.get("singles", {}).items()):
            parts.append(Part("single", name, index, _size(single["stream_bytes"])))
        for index, buffer in enumerate(group.get("buffers", [])):
            parts.append(Part("buffer", "", index, _size(buffer["size"])))
    except (KeyError, TypeError, AttributeError):
        raise _bad("a group whose parts cannot be read") from None
    return parts


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value
