"""Digests of chunks; with a fast hash in the kernel, unchanged chunks are recognised by it.

A first capture carries no digests: whoever stores it computes them, and tells them when the next
one is asked for. Until then the kernel keeps the fast hash of each chunk, in the order in which
they were sent.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# They leave the interpreter to others while they compute.
THREADS = min(4, os.cpu_count() or 1)

# A fast hash and a size.
_Key = tuple[bytes, int]

# The cache is this kernel's own: nobody else can put a digest into it.
_digests: dict[_Key, bytes] = {}
_MOST_DIGESTS = 1 << 20
# The last capture without digests: its id, and its chunks.
_last: list[tuple[str, list[_Key]]] = []


@functools.cache
def _find_fast_hash() -> Any:
    # At the first need of it: these modules may be there before the user's own choice of path.
    if importlib.util.find_spec("xxhash") is None:
        return None
    import xxhash

    return xxhash.xxh3_128_digest


def digest_chunk(data: Any) -> bytes:
    """Return a chunk's SHA-256."""
    if _find_fast_hash() is None:
        return hashlib.sha256(data).digest()
    key = _key(data)
    digest = _digests.get(key)
    if digest is None:
        digest = hashlib.sha256(data).digest()
        _keep(key, digest)
    return digest


def remember(data: Any, digest: bytes) -> None:
    """Keep the digest of a chunk that was restored, for the next capture."""
    if _find_fast_hash() is not None:
        _keep(_key(data), digest)


def begin_notes() -> str:
    """Begin to note the chunks of a capture without digests.

    Returns
    -------
    str
        The capture's id; empty where nothing is noted.
    """
    _last.clear()
    if _find_fast_hash() is None:
        return ""
    capture_id = secrets.token_hex(8)
    _last.append((capture_id, []))
    return capture_id


def note(data: Any) -> None:
    """Note a chunk that is sent without a digest."""
    for _, keys in _last:
        keys.append(_key(data))


def learn(capture_id: str, digests: Sequence[bytes]) -> None:
    """Take note of the digests of the last capture without any.

    Parameters
    ----------
    capture_id : str
        Which capture they are of.
    digests : sequence of bytes
        Of all its chunks, in order.
    """
    if not _last or _last[0][0] != capture_id or len(_last[0][1]) != len(digests):
        return
    for key, digest in zip(_last[0][1], digests):
        _keep(key, digest)
    _last.clear()


def _key(data: Any) -> _Key:
    return _find_fast_hash()(data), memoryview(data).nbytes


def _keep(key: _Key, digest: bytes) -> None:
    if len(_digests) >= _MOST_DIGESTS:
        _digests.clear()
    _digests[key] = digest
