"""What the tests of snapshots share: a state, a shelf to put it on, and looks at streams."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from jupyter_remote_kernels.protocol.state_stream import CHUNK_BYTES, JsonRecord, StreamReader
from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from jupyter_remote_kernels.testing.stores import MemoryStore


def noise(size):
    """Return bytes of which no two chunks are alike, the same ones each time."""
    return hashlib.shake_128(b"noise %d" % size).digest(size)


FACTS = SnapshotFacts("runtime", "python", "ada", automatic=True)
BIG = noise(5 * CHUNK_BYTES + 100)
GROUPS = (
    make_group(["f"], b"definitions", kind="definitions"),
    make_group(["a", "b"], b"links", [BIG, b"small"], singles={"a": b"alone", "b": b""}),
    make_group(["c"], b"", [BIG[:CHUNK_BYTES], b""]),
    make_group(["d"], b"d" * 200_000, [bytes(2 * CHUNK_BYTES)]),
    make_group([], b"session", kind="session"),
)


def run(coroutine):
    return asyncio.run(coroutine)


async def gather(stream):
    return b"".join([bytes(item) async for item in stream])


def records(data):
    reader = StreamReader()
    found = reader.feed(data)
    assert reader.is_between_records
    return found


def contents(data):
    """Return what a stream says, without what belongs to one stream only."""
    told = []
    for record in records(data):
        if isinstance(record, JsonRecord):
            left = ("total_bytes", "files", "hash")
            told.append({k: v for k, v in record.value.items() if k not in left})
        else:
            told.append((record.digest, bytes(record.data)))
    return told


class Shelf:
    """A catalogue over a store, and one call for what every test does."""

    def __init__(self, store=None, secret=b"k" * 32):
        self.store = MemoryStore() if store is None else store
        self.key = SnapshotKey(secret)
        self.catalogue = SnapshotCatalogue(self.store, self.key)

    async def save(self, stream=None, *, parent=None, name="", facts=FACTS, piece=None):
        async with await self.catalogue.begin(facts, parent) as writer:
            data = make_stream(GROUPS, known=writer.known) if stream is None else stream
            step = piece or len(data) or 1
            for start in range(0, len(data), step):
                await writer.feed(data[start : start + step])
            return await writer.commit(name)

    async def load(self, snapshot_id, *arguments, **options):
        reader = await self.catalogue.open(snapshot_id)
        return await gather(reader.stream(*arguments, **options))


@pytest.fixture
def shelf():
    return Shelf()


def names_in(data):
    told = [record.value for record in records(data) if isinstance(record, JsonRecord)]
    return [item["names"] for item in told if item["type"] == "group"]


async def pieces_of(data, size=100_000):
    for start in range(0, len(data), size):
        yield data[start : start + size]
