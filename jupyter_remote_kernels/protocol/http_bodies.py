"""Bodies of HTTP/1.1 messages as streams, without copying them (RFC 9112, sections 6 and 7).

A body whose size nobody knows before is sent in chunks. Trailers behind the last one say what
went wrong after the status had been sent.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Union

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

Buffer = Union[bytes, bytearray, memoryview]

# Every chunk's head is of one length, so that room for it can be left before the data is there.
HEAD_BYTES = 10
TAIL = b"\r\n"
ERROR_TRAILER = "x-remote-kernels-error"
_LONGEST_LINE = 16 * 1024
_MOST_TRAILERS = 16
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;.*)?")


def chunk_head(size: int) -> bytes:
    """Return what comes before a chunk of this size; :data:`TAIL` comes after it."""
    return b"%08x\r\n" % size


def last_chunk(error: Mapping[str, Any] | None = None) -> bytes:
    """Return the end of a chunked body.

    Parameters
    ----------
    error : mapping, optional
        Why the body is not whole: ``reason``, ``message`` and ``hint``.
    """
    if error is None:
        return b"0\r\n\r\n"
    # JSON in ASCII has neither line ends nor anything else that a header must not have.
    return f"0\r\n{ERROR_TRAILER}: {json.dumps(dict(error))}\r\n\r\n".encode("ascii")


class SizedBody:
    """A body of known size.

    Parameters
    ----------
    size : int
        In bytes.
    """

    error: dict[str, Any] | None = None

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def is_complete(self) -> bool:
        """Whether all of it has come."""
        return self._left == 0

    def feed(self, data: memoryview) -> list[memoryview]:
        """Take what has come next and return the body's part of it, as views."""
        piece = data[: self._left]
        self._left -= piece.nbytes
        return [piece] if piece.nbytes else []


class ChunkedBody:
    """A body that comes in chunks.

    Attributes
    ----------
    error : dict or None
        Why it is not whole, when the sender says so at its end.
    """

    def __init__(self) -> None:
        self.error: dict[str, Any] | None = None
        self.is_complete = False
        self._left = 0
        self._line = bytearray()
        self._expects = self._take_size
        self._trailers = 0

    def feed(self, data: memoryview) -> list[memoryview]:
        """Take what has come next and return the body's parts of it, as views.

        Raises
        ------
        InvalidInput
            When it is not in chunks.
        """
        pieces = []
        at = 0
        while at < data.nbytes and not self.is_complete:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= piece.nbytes
                pieces.append(piece)
                at += piece.nbytes
            else:
                at = self._read_line(data, at)
        return pieces

    def _read_line(self, data: memoryview, at: int) -> int:
        """Take one line or what there is of it; return where the rest begins."""
        part = bytes(data[at : at + _LONGEST_LINE])
        end = part.find(b"\n") + 1
        self._line += part[: end or len(part)]
        if len(self._line) > _LONGEST_LINE or (not end and len(part) == _LONGEST_LINE):
            raise InvalidInput("a chunked body has a line that is too long", reason="bad_body")
        if end:
            line, self._line = bytes(self._line).rstrip(b"\r\n"), bytearray()
            self._expects(line)
        return at + (end or len(part))

    def _take_size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise InvalidInput("a chunk without its size", reason="bad_body")
        self._left = int(found.group(1), 16)
        self._expects = self._take_end if self._left else self._take_trailer

    def _take_end(self, line: bytes) -> None:
        if line:
            raise InvalidInput("a chunk that is longer than it says", reason="bad_body")
        self._expects = self._take_size

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailers += 1
        if self._trailers > _MOST_TRAILERS:
            raise InvalidInput("a chunked body has too many trailers", reason="bad_body")
        name, _, value = line.partition(b":")
        if name.strip().lower() == ERROR_TRAILER.encode():
            try:
                error = json.loads(value)
            except (ValueError, RecursionError):
                error = None
            self.error = error if isinstance(error, dict) else {}


Body = Union[SizedBody, ChunkedBody]


def find_body(transfer_encoding: str | None, content_length: str | None) -> Body:
    """Return the body that a message's headers announce.

    Raises
    ------
    InvalidInput
        When they make no sense.
    """
    if transfer_encoding:
        if transfer_encoding.strip().lower() != "chunked":
            raise InvalidInput("only the transfer coding chunked is understood", reason="bad_body")
        return ChunkedBody()
    length = (content_length or "0").strip()
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise InvalidInput("Content-Length: must be a whole number", reason="bad_body")
    return SizedBody(int(length))
