"""A real kernel's state goes into the store in files, and into another kernel again."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.errors import SnapshotDamaged
from jupyter_remote_kernels.protocol.state_stream import CHUNK_BYTES
from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
from tests.contract.state_kernel import Mother, StateKernel

CODE = """
import threading
import numpy as np
def double(x): return x * factor
class Point:
    def __init__(self, x): self.x = x
factor = 2
big = np.arange(1_000_000, dtype="int64")
view = big[10:20]
same = [big]
point = Point(big)
small = {"a": 1}
bad = threading.Thread()
"""
LOOK = (
    "[big.sum().item(), np.shares_memory(view, big), same[0] is big, point.x is big, double(21),"
    " small, 'bad' in globals()]"
)
SEEN = [499999500000, True, True, True, 42, {"a": 1}, False]


class Shelf:
    def __init__(self, root):
        self.root = root
        self.catalogue = SnapshotCatalogue(FileStore(root), SnapshotKey(b"k" * 32))

    def save(self, kernel, parent=None):
        async def save():
            async with await self.catalogue.begin(SnapshotFacts(), parent) as writer:
                await writer.feed(kernel.capture(hashing="sha256", known=writer.known))
                return await writer.commit()

        return asyncio.run(save())

    def load(self, snapshot_id, names=None, *, may_map=False):
        async def load():
            reader = await self.catalogue.open(snapshot_id)
            stream = reader.stream(names, may_map=may_map)
            return b"".join([bytes(item) async for item in stream])

        return asyncio.run(load())

    def rescue(self, snapshot_id):
        async def load():
            reader = await self.catalogue.open(snapshot_id)
            stream = reader.stream(without=await reader.check())
            return b"".join([bytes(item) async for item in stream])

        return asyncio.run(load())


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "snapshots")


@pytest.fixture(scope="module")
def mother():
    with Mother() as made:
        yield made


@pytest.fixture(scope="module")
def source(mother):
    with StateKernel(mother) as kernel:
        kernel.run(CODE)
        yield kernel


@pytest.mark.timeout(120)
@pytest.mark.parametrize("may_map", [False, True])
def test_through_the_store_into_another_kernel(shelf, source, mother, may_map):
    manifest = shelf.save(source)
    report = {item["name"]: item for item in manifest.variables}
    assert report["bad"]["status"] == "refused"
    with StateKernel(mother) as other:
        answer = other.restore(shelf.load(manifest.id, may_map=may_map))
        assert [item["name"] for item in answer["lost"]] == ["bad"]
        assert other.evaluate(LOOK) == SEEN
        # Changing what was mapped changes no snapshot.
        other.run("big[:] = 0")
    with StateKernel(mother) as other:
        other.restore(shelf.load(manifest.id, may_map=may_map))
        assert other.evaluate(LOOK) == SEEN


@pytest.mark.timeout(120)
def test_the_second_one_is_small_and_stands_alone(shelf, source, mother):
    first = shelf.save(source)
    second = shelf.save(source, first.id)
    assert second.new_bytes < 100_000
    source.run("big[500_000] = 0")
    third = shelf.save(source, second.id)
    source.run("big[500_000] = 500_000")
    assert third.new_bytes < CHUNK_BYTES + 100_000
    for item in (first, second):
        asyncio.run(shelf.catalogue.delete(item.id))
    with StateKernel(mother) as other:
        other.restore(shelf.load(third.id))
        assert other.evaluate("big.sum().item()") == SEEN[0] - 500_000


@pytest.mark.timeout(120)
def test_chosen_variables(shelf, source, mother):
    manifest = shelf.save(source)
    with StateKernel(mother) as other:
        answer = other.restore(shelf.load(manifest.id, ["small"]), ["small"])
        assert answer["restored"] == ["small"]
        assert other.evaluate("[small, 'big' in globals(), 'double' in globals()]") == [
            {"a": 1},
            False,
            False,
        ]


@pytest.mark.timeout(120)
def test_what_was_changed_on_the_disk_is_not_mapped_either(shelf, source, mother):
    manifest = shelf.save(source)
    (pack,) = (shelf.root / "packs").iterdir()
    content = bytearray(pack.read_bytes())
    chunk = max(manifest.chunks(), key=lambda item: item.size)
    content[chunk.offset + 100] ^= 1
    pack.write_bytes(content)
    with pytest.raises(SnapshotDamaged) as info:
        shelf.load(manifest.id)
    assert "big" in info.value.names
    with StateKernel(mother) as other:
        answer = other.restore(shelf.load(manifest.id, may_map=True))
        assert (answer["type"], answer["reason"]) == ("error", "bad_chunk")
        assert other.evaluate("'big' in globals()") is False
    # What is damaged costs its group, and nothing else.
    with StateKernel(mother) as other:
        answer = other.restore(shelf.rescue(manifest.id))
        assert {"big", "view", "same", "point", "bad"} <= {i["name"] for i in answer["lost"]}
        assert other.evaluate("[small, double(21)]") == [{"a": 1}, 42]


LOUD = """
import numpy as np, os
def shout(): os.environ["HEARD"] = "yes"
class Loud:
    def __reduce__(self): return shout, ()
texts = np.array([f"text {i}" for i in range(300_000)], dtype=object)
mixed = [Loud(), texts, np.arange(3_000_000)]
"""


@pytest.mark.timeout(120)
def test_nothing_of_a_group_is_unpickled_before_all_of_it_is_checked(shelf, mother):
    with StateKernel(mother) as loud:
        loud.run(LOUD)
        manifest = shelf.save(loud)
    (group,) = (group for group in manifest.groups if "mixed" in group.record.get("names", ()))
    # These are made while the rest is read, which needs no unpickler.
    assert len(group.record["texts"]) == 2
    heard = "os.environ.get('HEARD')"
    with StateKernel(mother) as other:
        assert other.restore(shelf.load(manifest.id, may_map=True))["lost"] == []
        assert other.evaluate(heard) == "yes"
        assert other.evaluate("[texts[0], texts[299_999], mixed[1] is texts, len(set(texts))]") == [
            "text 0",
            "text 299999",
            True,
            300_000,
        ]
    (pack,) = (shelf.root / "packs").iterdir()
    content = bytearray(pack.read_bytes())
    # Of the texts, and of the numbers; smaller ones are read by the server.
    whole = [chunk for chunk in group.chunks if chunk.size == CHUNK_BYTES]
    for chunk in (whole[0], whole[-1]):
        content[chunk.offset + chunk.size - 1] ^= 1
        pack.write_bytes(content)
        with StateKernel(mother) as other:
            answer = other.restore(shelf.load(manifest.id, may_map=True))
            assert (answer["type"], answer["reason"]) == ("error", "bad_chunk")
            other.run("import os")
            assert other.evaluate(heard) is None
        content[chunk.offset + chunk.size - 1] ^= 1
