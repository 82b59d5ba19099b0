"""Prints how much memory a large snapshot takes while it is written and read; a program."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

from jupyter_remote_kernels.protocol.state_stream import (
    CHUNK_BYTES,
    NO_DIGEST,
    ChunkRecord,
    encode_json,
)
from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts

PIECE_BYTES = 64 << 10


def read_peak():
    """Return the most memory that this process has had, in bytes."""
    status = Path("/proc/self/status").read_text()
    (line,) = (item for item in status.splitlines() if item.startswith("VmHWM"))
    return int(line.split()[1]) << 10


async def feed(writer, count):
    """Feed a state of so many chunks, in the pieces of a socket."""
    size = count * CHUNK_BYTES
    await writer.feed(
        encode_json({"type": "begin", "version": 1, "hash": "none", "total_bytes": size})
    )
    group = {"type": "group", "names": ["a"], "kind": "values", "stream_bytes": 0}
    await writer.feed(encode_json({**group, "singles": {}, "buffers": [{"size": size}]}))
    for number in range(count):
        data = hashlib.shake_128(b"%d" % number).digest(PIECE_BYTES) * (CHUNK_BYTES // PIECE_BYTES)
        record = b"".join(ChunkRecord(NO_DIGEST, data).encode())
        for start in range(0, len(record), PIECE_BYTES):
            await writer.feed(record[start : start + PIECE_BYTES])
    await writer.feed(encode_json({"type": "end", "variables": []}))


async def main(root, count):
    """Write and read a snapshot."""
    catalogue = SnapshotCatalogue(FileStore(root), SnapshotKey(bytes(32)))
    ids = []
    for size in (1, count):
        # The first one is small: what is only imported and started is no cost of its size.
        before = read_peak()
        async with await catalogue.begin(SnapshotFacts()) as writer:
            await feed(writer, size)
            ids.append((await writer.commit()).id)
        written = read_peak() - before
        reader = await catalogue.open(ids[-1])
        async for _ in reader.stream():
            pass
    print(written, read_peak() - before)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
