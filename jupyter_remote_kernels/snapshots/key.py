"""The key that signs manifests: 32 random bytes in a file of the server's user."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from jupyter_remote_kernels.errors import StoreUnavailable

KEY_BYTES = 32


class SnapshotKey:
    """Signs manifests and checks their signatures; never leaves the server.

    Parameters
    ----------
    secret : bytes
        32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError("a key of a wrong length")
        self._secret = secret
        # Tells a foreign signature from a damaged one, and nothing about the key.
        self.id = hashlib.sha256(b"jupyter-remote-kernels key id\0" + secret).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<SnapshotKey {self.id}>"

    def sign(self, data: bytes) -> str:
        """Return the signature, HMAC-SHA256 in hexadecimal digits."""
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()

    def verifies(self, data: bytes, signature: str) -> bool:
        """Whether the signature was made with this key, in constant time."""
        return hmac.compare_digest(self.sign(data), signature)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SnapshotKey:
        """Read the key, or make it when there is none yet; blocks for a moment.

        Raises
        ------
        StoreUnavailable
            When the file cannot be used, is no key, or others can read or write it.
        """
        path = Path(path)
        try:
            if not path.exists():
                _make(path)
            return cls(_read(path))
        except OSError as error:
            raise _refusal(path, "cannot be read or made", "unreadable", str(error)) from error


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise _refusal(path, "can be used by others", "not_private")
        secret = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(secret) != KEY_BYTES:
        raise _refusal(path, "does not hold a key", "bad")
    return secret


def _make(path: Path) -> None:
    """Make the key file whole or not at all; of several processes one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(descriptor, secrets.token_bytes(KEY_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # A link, unlike a rename, never replaces the key that another process has just made.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refusal(path: Path, what: str, code: str, detail: str = "") -> StoreUnavailable:
    return StoreUnavailable(
        f"The key of the snapshots {what}.",
        reason=f"snapshot_key_{code}",
        hint=f"The file {path.name} must belong to the server's user, mode 0600, 32 bytes.",
        detail=detail or str(path),
    )
