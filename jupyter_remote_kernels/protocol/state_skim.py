"""Reading along in a state stream that passes by, without holding or copying what is large."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.state_stream import HEAD_BYTES, parse_head

if TYPE_CHECKING:
    from jupyter_remote_kernels.protocol.state_stream import Buffer


class StreamSkimmer:
    """Gives out the JSON records of a stream; everything else is only counted.

    Attributes
    ----------
    chunk_bytes : int
        Bytes of chunks that have passed.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._text = bytearray()
        self._is_json = False
        self._missing = 0
        self.chunk_bytes = 0

    def feed(self, data: Buffer) -> list[dict[str, Any]]:
        """Take the next bytes and return the JSON records that are complete now.

        Raises
        ------
        InvalidInput
            When it is no state stream.
        """
        found: list[dict[str, Any]] = []
        view = memoryview(data).cast("B")
        at = 0
        while at < view.nbytes:
            if not self._missing:
                taken = view[at : at + HEAD_BYTES - len(self._head)]
                self._head += taken
                at += taken.nbytes
                if len(self._head) < HEAD_BYTES:
                    break
                kind, self._missing = parse_head(self._head)
                self._head.clear()
                self._is_json = kind == b"J"
            piece = view[at : at + self._missing]
            at += piece.nbytes
            self._missing -= piece.nbytes
            if not self._is_json:
                self.chunk_bytes += piece.nbytes
                continue
            self._text += piece
            if not self._missing:
                found.append(_parse(self._text))
                self._text = bytearray()
        return found


def _parse(text: bytearray) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("The state stream has a record that is no JSON object.")
    return value
