"""Sealed files: what a stranger can neither read nor change, kept with a runtime's own secret.

::

    magic (8 bytes)  nonce (16)
    frame: length (u32)  is last (1)  the content, encrypted  tag (32)
    …

The content of each frame is combined with a stream that SHAKE-256 makes of a key and the frame's
number. The tag is HMAC-SHA256 over the number, the head and what is encrypted, with another key;
so frames that are changed, moved, or missing at the end are found before anything of them is used.
Both keys are made of the secret and the nonce. Standard library only, since agents seal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import SnapshotDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.protocol.frames import Buffer

MAGIC = b"jrkseal1"
NONCE_BYTES = 16
TAG_BYTES = 32
FRAME_BYTES = 1 << 20
_HEAD = struct.Struct("<IB")
_NUMBER = struct.Struct("<Q")
# Beside any other use of the same secret.
_PURPOSE = b"jupyter-remote-kernels sealed file "


class _Keys:
    def __init__(self, secret: bytes, nonce: bytes) -> None:
        self._encryption = _derive(secret, b"encryption", nonce)
        self._authentication = _derive(secret, b"authentication", nonce)

    def combine(self, number: int, data: Buffer) -> bytes:
        """Encrypt what is plain, and the other way round."""
        size = memoryview(data).nbytes
        stream = hashlib.shake_256(self._encryption + _NUMBER.pack(number)).digest(size)
        # As two large numbers, because there is no other way at the speed of memory.
        combined = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
        return combined.to_bytes(size, "little")

    def sign(self, number: int, head: Buffer, body: Buffer) -> bytes:
        signing = hmac.new(self._authentication, _NUMBER.pack(number), hashlib.sha256)
        signing.update(head)
        signing.update(body)
        return signing.digest()


class Sealer:
    """Makes a sealed file.

    Parameters
    ----------
    secret : bytes
        Known to whoever opens it.
    """

    def __init__(self, secret: bytes) -> None:
        nonce = os.urandom(NONCE_BYTES)
        self._keys = _Keys(secret, nonce)
        self._number = 0
        self.head = MAGIC + nonce

    def seal(self, data: Buffer, *, is_last: bool = False) -> bytes:
        """Return one frame; the last one may be empty, and has to be there.

        Parameters
        ----------
        data : bytes-like
            At most ``FRAME_BYTES``.
        is_last : bool
            Whether nothing comes after it.
        """
        body = self._keys.combine(self._number, data)
        head = _HEAD.pack(len(body), is_last)
        tag = self._keys.sign(self._number, head, body)
        self._number += 1
        return b"".join((head, body, tag))


class Opener:
    """Reads a sealed file as it comes.

    Parameters
    ----------
    secret : bytes
        With which it was sealed.

    Attributes
    ----------
    is_complete : bool
        Whether its last frame has come, and nothing after it.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._keys: _Keys | None = None
        self._held = bytearray()
        self._number = 0
        self.is_complete = False

    def feed(self, data: Buffer) -> Iterator[bytes]:
        """Take the next bytes; yield what is in the frames that they complete.

        Raises
        ------
        SnapshotDamaged
            When it is no file that was sealed with this secret, or not as it was.
        """
        self._held += data
        if self._keys is None:
            if len(self._held) < len(MAGIC) + NONCE_BYTES:
                return
            magic = bytes(self._held[: len(MAGIC)])
            nonce = bytes(self._held[len(MAGIC) : len(MAGIC) + NONCE_BYTES])
            if magic != MAGIC:
                raise _damaged()
            del self._held[: len(MAGIC) + NONCE_BYTES]
            self._keys = _Keys(self._secret, nonce)
        while (content := self._open_next(self._keys)) is not None:
            yield content

    def _open_next(self, keys: _Keys) -> bytes | None:
        if self.is_complete and self._held:
            raise _damaged()
        if len(self._held) < _HEAD.size:
            return None
        head = bytes(self._held[: _HEAD.size])
        size, last = _HEAD.unpack(head)
        if size > FRAME_BYTES or last > 1:
            raise _damaged()
        end = _HEAD.size + size + TAG_BYTES
        if len(self._held) < end:
            return None
        body = bytes(self._held[_HEAD.size : _HEAD.size + size])
        tag = bytes(self._held[_HEAD.size + size : end])
        del self._held[:end]
        if not hmac.compare_digest(keys.sign(self._number, head, body), tag):
            raise _damaged()
        content = keys.combine(self._number, body)
        self._number += 1
        self.is_complete = bool(last)
        return content


def _derive(secret: bytes, use: bytes, nonce: bytes) -> bytes:
    return hmac.new(secret, _PURPOSE + use + b"\0" + nonce, hashlib.sha256).digest()


def _damaged() -> SnapshotDamaged:
    return SnapshotDamaged(
        "The state that the runtime's agent has left is not as it was written.",
        reason="left_state_damaged",
    )
