"""Signatures of kernel messages: HMAC over the four JSON parts (Jupyter messaging protocol)."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

DELIMITER = b"<IDS|MSG>"


class Signer:
    """Signs and verifies with one kernel's key.

    Parameters
    ----------
    key : bytes
        The connection file's key; empty switches signing off, as in the protocol.
    scheme : str
        ``hmac-<hash name>``.
    """

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        name = scheme.partition("-")[2]
        if not scheme.startswith("hmac-") or name not in hashlib.algorithms_available:
            raise InvalidInput(
                f"unknown signature scheme {scheme!r}", reason="bad_signature_scheme"
            )
        # A prepared object that is copied is cheaper than keying the hash for each message.
        self._prepared = hmac.new(key, digestmod=name) if key else None

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """Return the hexadecimal signature of header, parent header, metadata and content."""
        if self._prepared is None:
            return b""
        digest = self._prepared.copy()
        for part in parts[:4]:
            digest.update(part)
        return digest.hexdigest().encode()

    def verify(self, signature: bytes, parts: Sequence[Buffer]) -> bool:
        """Tell whether the signature is right, in constant time."""
        if self._prepared is None:
            return True
        return hmac.compare_digest(self.sign(parts), signature)
