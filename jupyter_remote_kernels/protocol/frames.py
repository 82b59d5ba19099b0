"""Framing of kernel messages on a websocket, subprotocol ``v1.kernel.websocket.jupyter.org``.

The format is jupyter_server's (its documentation, "WebSocket kernel wire protocols"): a
count of offsets, the offsets, the channel's name, then header, parent header, metadata,
content and buffers; all numbers are 64-bit little-endian.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Union

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
# An extra channel on which the agent reports to a link that asked for it.
AGENT_CHANNEL = "agent"
KERNEL_CHANNELS = ("shell", "control", "stdin", "iopub")

Buffer = Union[bytes, bytearray, memoryview]


def encode_head(channel: str, parts: Sequence[Buffer]) -> bytes:
    """Encode everything before the parts, so that large parts need not be copied.

    Parameters
    ----------
    channel : str
        ``shell``, ``control``, ``stdin``, ``iopub`` or ``agent``.
    parts : sequence of buffers
        Header, parent header, metadata, content, then binary buffers.

    Returns
    -------
    bytes
        To be followed on the wire by the parts themselves.
    """
    name = channel.encode()
    count = len(parts) + 2
    offset = 8 * (count + 1) + len(name)
    offsets = [offset - len(name), offset]
    for part in parts:
        # len() of a memoryview counts items, which are bytes only for the plain format.
        offset += part.nbytes if isinstance(part, memoryview) else len(part)
        offsets.append(offset)
    return struct.pack(f"<{count + 1}Q", count, *offsets) + name


def encode(channel: str, parts: Sequence[Buffer]) -> bytes:
    """Encode a whole message into one piece of bytes."""
    return b"".join((encode_head(channel, parts), *parts))


def decode(data: Buffer) -> tuple[str, list[memoryview]]:
    """Split a websocket message into its channel and parts, without copying.

    Parameters
    ----------
    data : bytes-like
        The websocket message.

    Returns
    -------
    channel : str
        The channel's name.
    parts : list of memoryview
        Views into ``data``.

    Raises
    ------
    InvalidInput
        When the offsets do not fit the data.
    """
    view = memoryview(data)
    size = view.nbytes
    if size < 8:
        raise InvalidInput("a kernel message that is too short", reason="bad_frame")
    (count,) = struct.unpack_from("<Q", view)
    # The offsets themselves have to fit: this also bounds what a stranger can make us allocate.
    if count < 2 or 8 * (count + 1) > size:
        raise InvalidInput("a kernel message with a wrong number of parts", reason="bad_frame")
    offsets = struct.unpack_from(f"<{count}Q", view, 8)
    previous = 8 * (count + 1)
    for offset in offsets:
        if offset < previous or offset > size:
            raise InvalidInput("a kernel message with wrong offsets", reason="bad_frame")
        previous = offset
    try:
        channel = str(view[offsets[0] : offsets[1]], "ascii")
    except UnicodeDecodeError:
        raise InvalidInput("a kernel message with a wrong channel", reason="bad_frame") from None
    return channel, [view[a:b] for a, b in zip(offsets[1:], offsets[2:])]
