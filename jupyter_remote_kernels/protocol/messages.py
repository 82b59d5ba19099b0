"""Building and reading kernel messages without jupyter_client, which is slow to import."""

from __future__ import annotations

import json
import os
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

PROTOCOL_VERSION = "5.4"


def pack(value: Any) -> bytes:
    """Encode JSON as the kernel protocol wants it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    # Half a surrogate pair has no UTF-8, but this way of writing it is JSON's own.
    return text.encode("utf-8", "backslashreplace")


def unpack(part: Buffer) -> dict[str, Any]:
    """Decode one JSON part.

    Raises
    ------
    InvalidInput
        When it is not a JSON object.
    """
    try:
        value = json.loads(bytes(part))
    except (ValueError, RecursionError):
        raise InvalidInput("a kernel message that is not JSON", reason="bad_message") from None
    if not isinstance(value, dict):
        raise InvalidInput("a kernel message part that is no object", reason="bad_message")
    return value


class Composer:
    """Builds messages of one session.

    Parameters
    ----------
    session : str, optional
        The session id in the headers; random by default.
    """

    def __init__(self, session: str | None = None) -> None:
        self.session = session or uuid.uuid4().hex
        self._count = 0

    def header(self, msg_type: str) -> dict[str, Any]:
        """Return a fresh header."""
        self._count += 1
        return {
            "msg_id": f"{self.session}_{os.getpid()}_{self._count}",
            "msg_type": msg_type,
            "username": "jupyter_remote_kernels",
            "session": self.session,
            "date": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
            "version": PROTOCOL_VERSION,
        }

    def compose(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        parent: Buffer | None = None,
    ) -> list[bytes]:
        """Return the four JSON parts of a message.

        Parameters
        ----------
        msg_type : str
            Its type.
        content : mapping
            Its content.
        parent : bytes-like, optional
            The packed header of the request that it answers.
        """
        return [
            pack(self.header(msg_type)),
            bytes(parent) if parent is not None else b"{}",
            b"{}",
            pack(content),
        ]


def message_type(parts: Sequence[Buffer]) -> str:
    """Return the message's type; empty when its header has none."""
    return str(unpack(parts[0]).get("msg_type", ""))
