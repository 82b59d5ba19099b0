"""A snapshot as one file: its signed manifest, then its state stream.

::

    J {"type":"snapshot","version":1,"document":"<the manifest, signed>"}
    J begin ... J end      the state stream, in which a chunk that comes again is only named

The signature covers the digests of all chunks, and each chunk is compared with its digest.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput, SnapshotDamaged
from jupyter_remote_kernels.protocol.state_stream import (
    HEAD_BYTES,
    JsonRecord,
    encode_json,
    parse_head,
    parse_record,
)
from jupyter_remote_kernels.snapshots.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from jupyter_remote_kernels.protocol.state_stream import Buffer
    from jupyter_remote_kernels.snapshots.key import SnapshotKey
    from jupyter_remote_kernels.snapshots.manifest import Manifest

VERSION = 1
# Facts of one stream, not of the state.
_OF_THE_STREAM = frozenset({"total_bytes", "files", "hash"})


def encode_head(manifest: Manifest, key: SnapshotKey) -> bytes:
    """Return the record that a file begins with."""
    document = manifest.signed(key).decode("ascii")
    return encode_json({"type": "snapshot", "version": VERSION, "document": document})


async def read_head(
    pieces: AsyncIterator[Buffer], key: SnapshotKey, *, trust: bool
) -> tuple[Manifest, memoryview]:
    """Read the beginning of a file, and check its signature.

    Returns
    -------
    manifest : Manifest
        What the rest must be.
    rest : memoryview
        What has come of the state stream already; the iterator gives what follows.

    Raises
    ------
    InvalidInput
        When it is no such file.
    SnapshotDamaged
        When it is cut short, or its manifest is not what was signed.
    SnapshotUntrusted
        When it was signed elsewhere, and nobody answers for that.
    """
    held = bytearray()
    length = HEAD_BYTES
    async for piece in pieces:
        held += piece
        if length == HEAD_BYTES and len(held) >= HEAD_BYTES:
            try:
                kind, size = parse_head(held[:HEAD_BYTES])
            except InvalidInput:
                raise _no_file() from None
            if kind != b"J":
                raise _no_file()
            length += size
        if len(held) >= length > HEAD_BYTES:
            break
    else:
        raise SnapshotDamaged("The file is cut short.")
    view = memoryview(held)
    document = _read_document(view[HEAD_BYTES:length])
    manifest = await asyncio.to_thread(read_manifest, document, key, trust=trust)
    return manifest, view[length:]


def _read_document(payload: memoryview) -> bytes:
    record = parse_record(b"J", payload)
    value = record.value if isinstance(record, JsonRecord) else {}
    document = value.get("document")
    if value.get("type") != "snapshot" or not isinstance(document, str):
        raise _no_file()
    if value.get("version") != VERSION:
        raise InvalidInput("The file was made by a newer version.", reason="snapshot_version")
    return document.encode("utf-8", "replace")


def is_same_state(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests describe the same bytes, wherever those lie."""
    return _describe(one) == _describe(other)


def _describe(manifest: Manifest) -> tuple[Any, ...]:
    begin = {key: item for key, item in manifest.begin.items() if key not in _OF_THE_STREAM}
    return (
        # As text, because the order of keys has a meaning in it.
        json.dumps([begin, manifest.end, [group.record for group in manifest.groups]]),
        [[chunk.digest for chunk in group.chunks] for group in manifest.groups],
    )


def _no_file() -> InvalidInput:
    return InvalidInput("The file is no snapshot.", reason="no_snapshot_file")
