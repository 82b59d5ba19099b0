"""Signatures of kernel messages: HMAC over the four JSON parts (Jupyter messaging protocol)."""

from __future__ import annotations

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
        prefix, _, name = scheme.partition("-")
        try:
            # A prepared object that is copied is cheaper than keying the hash each time.
            prepared = hmac.new(key, digestmod=name if prefix == "hmac" else "")
        except (TypeError, ValueError):  # both occur, also for hashes that cannot be keyed
            raise InvalidInput(
                f"unknown signature scheme {scheme!r}", reason="bad_signature_scheme"
            ) from None
        self._prepared = prepared if key else None

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
