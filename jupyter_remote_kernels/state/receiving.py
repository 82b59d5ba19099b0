"""Where the parts of a group come to lie: read from the socket, or mapped from a file."""

from __future__ import annotations

import functools
import hashlib
import mmap
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.state_stream import (
    DIGEST_BYTES,
    NO_DIGEST,
    FileRecord,
    parse_record,
)
from jupyter_remote_kernels.state.digests import remember
from jupyter_remote_kernels.state.pages import RUN_BYTES, MappedFile, PageChecks, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_remote_kernels.state.wire import Reader

_MAPPED_BYTES = 1 << 20


def allocate(size: int) -> memoryview:
    """Return writable memory; large pieces are their own, so that each is given back alone."""
    if size < _MAPPED_BYTES:
        return memoryview(bytearray(size))
    # Private: a child that the user forks must not write into this kernel's variables. It is also
    # cheaper than shared memory, which is a file to the system.
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class Content:
    """The content of one part, which may still be checked.

    Parameters
    ----------
    size : int
        How much it is.
    pieces : list of memoryview
        Where it lies, in order.
    checks : PageChecks, optional
        Who checks it, when it lies in a file.
    runs : sequence of Run
        What has to be checked first.

    Attributes
    ----------
    is_mapped : bool
        Whether it lies in a file.
    runs : sequence of Run
        What is still to be checked.
    """

    def __init__(
        self, size: int, pieces: list[memoryview], checks: PageChecks | None = None, runs: Any = ()
    ) -> None:
        self.size = size
        self._pieces = pieces
        self._checks = checks
        self.runs = runs
        self.is_mapped = checks is not None

    def check(self) -> None:
        """Wait until it is checked.

        Raises
        ------
        InvalidInput
            When it is not what was saved.
        """
        if self._checks is not None:
            for run in self.runs:
                self._checks.wait(run)
        self.runs = ()

    def get(self) -> memoryview:
        """Return the content; nothing of it is used before its digests are checked."""
        self.check()
        if len(self._pieces) > 1:
            view = allocate(self.size)
            at = 0
            for piece in self._pieces:
                view[at : at + piece.nbytes] = piece
                at += piece.nbytes
            self._pieces = [view]
        return self._pieces[0]


class Receiver:
    """Receives the parts of groups.

    Parameters
    ----------
    reader : Reader
        Where records come from.

    Attributes
    ----------
    paths : list of str
        The files that records may refer to.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.paths: list[str] = []
        self._mapped: dict[int, MappedFile] = {}
        self._checks: PageChecks | None = None
        self._runs: list[Run] = []

    def begin(self, first: Sequence[Content] = ()) -> None:
        """Begin to read and check what lies in files.

        Parameters
        ----------
        first : sequence of Content
            Read before the rest.
        """
        if self._checks is not None:
            runs = dict.fromkeys(run for content in first for run in content.runs)
            self._checks.add(list({**runs, **dict.fromkeys(self._runs)}))
        self._runs = []

    def close(self) -> None:
        """Read and check nothing more."""
        if self._checks is not None:
            self._checks.close()

    def receive(self, size: int) -> Content:
        """Receive one part; what lies in files is read when it is begun with."""
        if not size:
            return Content(0, [memoryview(b"")])
        kind, length = self._reader.head()
        if kind == b"F":
            return self._receive_from_files(length, size)
        view = allocate(size)
        at = 0
        while True:
            count = length - DIGEST_BYTES
            if kind != b"D" or not 0 < count <= size - at:
                raise InvalidInput("The state stream has a record in the wrong place.")
            digest = bytes(self._reader.bytes(DIGEST_BYTES))
            piece = view[at : at + count]
            self._reader.into(piece)
            _check(digest, piece)
            at += count
            if at == size:
                return Content(size, [view])
            kind, length = self._reader.head()

    def _receive_from_files(self, length: int, size: int) -> Content:
        records = [self._read_record(length)]
        at = records[0].size
        while at < size:
            kind, length = self._reader.head()
            if kind != b"F":
                raise InvalidInput("The state stream has a record in the wrong place.")
            records.append(self._read_record(length))
            at += records[-1].size
        if at != size:
            raise InvalidInput("The state stream has a record in the wrong place.")
        pieces = [self._find(run) for run in _join(records)]
        runs = [self._make_run(group) for group in _join(records, RUN_BYTES)]
        if self._checks is None:
            self._checks = PageChecks()
        self._runs += runs
        return Content(size, pieces, self._checks, runs)

    def _read_record(self, length: int) -> FileRecord:
        record = parse_record(b"F", self._reader.bytes(length))
        if not isinstance(record, FileRecord) or not record.size:
            raise InvalidInput("The state stream has a record in the wrong place.")
        return record

    def _find(self, records: list[FileRecord]) -> memoryview:
        """Return where records lie that are in one piece."""
        start, end = records[0].offset, records[-1].offset + records[-1].size
        piece = self._map(records[0].file).view[start:end]
        if piece.nbytes != end - start:
            raise InvalidInput("A chunk is not in its file.", reason="bad_chunk")
        return piece

    def _make_run(self, records: list[FileRecord]) -> Run:
        piece = self._find(records)
        check = functools.partial(_check_all, [(each.digest, each.size) for each in records], piece)
        return Run(self._map(records[0].file), records[0].offset, piece.nbytes, check)

    def _map(self, number: int) -> MappedFile:
        if number not in self._mapped:
            if number >= len(self.paths):
                raise InvalidInput("The state stream names no such file.")
            self._mapped[number] = MappedFile(self.paths[number])
        return self._mapped[number]


def _join(records: list[FileRecord], most: int = 1 << 63) -> Iterator[list[FileRecord]]:
    """Put together records that follow each other in one file, up to a size."""
    joined: list[FileRecord] = []
    size = 0
    for record in records:
        last = joined[-1] if joined else record
        follows = last.file == record.file and last.offset + last.size == record.offset
        if joined and (not follows or size + record.size > most):
            yield joined
            joined, size = [], 0
        joined.append(record)
        size += record.size
    if joined:
        yield joined


def _check_all(chunks: list[tuple[bytes, int]], data: memoryview) -> None:
    at = 0
    for digest, size in chunks:
        _check(digest, data[at : at + size])
        at += size


def _check(digest: bytes, data: memoryview) -> None:
    if digest == NO_DIGEST:
        return
    if hashlib.sha256(data).digest() != digest:
        raise InvalidInput("A chunk is damaged.", reason="bad_chunk")
    remember(data, digest)
