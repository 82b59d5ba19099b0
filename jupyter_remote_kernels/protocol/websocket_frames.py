"""Building websocket frames without copying large payloads (RFC 6455, section 5.2).

Tornado joins head and payload of each message and writes every message by itself. Here many
small messages become one piece, and large ones go to the socket from where they lie.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

LARGE_BYTES = 64 * 1024


def frame_head(size: int) -> bytes:
    """Return the head of an unmasked, final, binary frame: what a server sends.

    Parameters
    ----------
    size : int
        Length of the payload, in bytes.
    """
    if size < 126:
        return struct.pack("!BB", 0x82, size)
    if size < 65536:
        return struct.pack("!BBH", 0x82, 126, size)
    return struct.pack("!BBQ", 0x82, 127, size)


def coalesce(chunks: Sequence[Buffer | Any]) -> list[bytes | memoryview]:
    """Join neighbours that are small, so that many messages cost one system call.

    Parameters
    ----------
    chunks : sequence of buffers
        Heads and payloads in the order of the wire.

    Returns
    -------
    list of bytes or memoryview
        Large chunks are views of what was given.
    """
    result: list[bytes | memoryview] = []
    small: list[Buffer] = []
    for chunk in chunks:
        view = memoryview(chunk)
        if view.nbytes < LARGE_BYTES:
            small.append(view)
            continue
        if small:
            result.append(b"".join(small))
            small = []
        result.append(view)
    if small:
        result.append(b"".join(small))
    return result
