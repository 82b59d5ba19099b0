"""Snapshots are written and read: what goes in comes out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_remote_kernels.errors import Conflict, InvalidInput
from jupyter_remote_kernels.protocol.state_stream import (
    CHUNK_BYTES,
    ChunkRecord,
    FileRecord,
    JsonRecord,
    digest_of,
)
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from tests.unit.snapshot_tools import (
    BIG,
    FACTS,
    GROUPS,
    Shelf,
    contents,
    gather,
    noise,
    pieces_of,
    records,
    run,
    shelf,
)

__all__ = ["shelf"]


@pytest.mark.parametrize("piece", [None, 7919, CHUNK_BYTES])
def test_what_goes_in_comes_out(shelf, piece):
    manifest = run(shelf.save(piece=piece))
    data = run(shelf.load(manifest.id))
    assert contents(data) == contents(make_stream(GROUPS))
    begin = records(data)[0].value
    assert begin["hash"] == "sha256"
    assert (
        begin["total_bytes"]
        == manifest.total_bytes
        == sum(memoryview(part).nbytes for group in GROUPS for part in group.parts)
    )


def test_one_byte_at_a_time(shelf):
    groups = [make_group(["a"], b"stream", [b"buffer"])]
    manifest = run(shelf.save(make_stream(groups), piece=1))
    assert contents(run(shelf.load(manifest.id))) == contents(make_stream(groups))


def test_an_empty_namespace_is_a_snapshot_without_packs(shelf):
    manifest = run(shelf.save(make_stream([])))
    assert run(shelf.store.packs()) == {}
    assert contents(run(shelf.load(manifest.id))) == contents(make_stream([]))


def test_chunks_without_digests_get_them(shelf):
    manifest = run(shelf.save(make_stream(GROUPS, has_digests=False)))
    assert contents(run(shelf.load(manifest.id))) == contents(make_stream(GROUPS))
    assert run(shelf.catalogue.list())[0].problem == ""


def test_the_same_chunk_is_written_once(shelf):
    manifest = run(shelf.save())
    # The buffer of c is the beginning of the first one, and d has the same zeros twice.
    assert manifest.total_bytes - manifest.new_bytes == 2 * CHUNK_BYTES
    again = run(shelf.save(make_stream(GROUPS)))
    assert again.new_bytes == manifest.new_bytes


def test_a_second_snapshot_writes_only_what_changed(shelf):
    async def check():
        first = await shelf.save()
        second = await shelf.save(parent=first.id)
        assert (second.new_bytes, second.parent_id) == (0, first.id)
        assert second.total_bytes == first.total_bytes
        changed = bytearray(BIG)
        changed[2 * CHUNK_BYTES] ^= 1
        groups = [make_group(["a"], b"links", [bytes(changed)])]
        async with await shelf.catalogue.begin(FACTS, second.id) as writer:
            await writer.feed(make_stream(groups, known=writer.known))
            third = await writer.commit()
        assert third.new_bytes == CHUNK_BYTES
        for gone in (first.id, second.id):
            await shelf.catalogue.delete(gone)
        assert contents(await shelf.load(third.id)) == contents(make_stream(groups))

    run(check())


@pytest.mark.parametrize("parent", ["0" * 32, "damaged", "foreign"])
def test_a_parent_that_cannot_be_used_is_not_leant_on(shelf, parent):
    async def check():
        first = await shelf.save()
        if parent == "damaged":
            shelf.store.stored[first.id] = (9, shelf.store.stored[first.id][1][:-5])
        if parent == "foreign":
            shelf.catalogue = Shelf(shelf.store, b"x" * 32).catalogue
        second = await shelf.save(parent=first.id if len(parent) < 32 else parent)
        assert second.new_bytes == first.new_bytes
        assert second.parent_id == ""

    run(check())


def test_chunks_of_a_pack_that_is_gone_or_short_are_not_known(shelf):
    async def check():
        first = await shelf.save()
        (pack,) = shelf.store.sealed
        shelf.store.sealed[pack] = shelf.store.sealed[pack][: 2 * CHUNK_BYTES]
        async with await shelf.catalogue.begin(FACTS, first.id) as writer:
            assert 0 < len(writer.known) < len({chunk.digest for chunk in first.chunks()})
            assert not writer.known_capture
        del shelf.store.sealed[pack]
        async with await shelf.catalogue.begin(FACTS, first.id) as writer:
            assert writer.known == ()
            assert not writer.known_capture

    run(check())


def test_large_buffers_can_be_mapped(tmp_path):
    shelf = Shelf(FileStore(tmp_path))
    manifest = run(shelf.save())
    found = records(run(shelf.load(manifest.id, may_map=True)))
    files = found[0].value["files"]
    parts = [record for record in found if isinstance(record, FileRecord)]
    assert len(parts) == 6 + 1 + 2
    for part in parts:
        assert part.offset % 4096 == 0
        with open(files[part.file], "rb") as file:
            file.seek(part.offset)
            assert digest_of(file.read(part.size)) == part.digest
    whole = parts[:6]
    assert all(b.offset == a.offset + a.size for a, b in pairwise(whole))
    # Small ones and streams are sent as they are.
    assert b"small" in [bytes(item.data) for item in found if isinstance(item, ChunkRecord)]


def test_a_store_without_files_is_not_mapped(shelf):
    manifest = run(shelf.save())
    data = run(shelf.load(manifest.id, may_map=True))
    assert records(data)[0].value["files"] == []
    assert contents(data) == contents(make_stream(GROUPS))


def test_large_states_are_cut_into_packs_between_buffers(shelf, monkeypatch):
    monkeypatch.setattr("jupyter_remote_kernels.snapshots.pipeline.PACK_BYTES", 2 * CHUNK_BYTES)
    buffers = [noise(CHUNK_BYTES + n) for n in range(7)]
    groups = [make_group(["a"], b"s", buffers), make_group(["b"], b"t", [BIG])]
    manifest = run(shelf.save(make_stream(groups)))
    assert len(manifest.packs) > 2
    assert len({chunk.pack for chunk in manifest.groups[1].chunks[1:]}) == 1
    assert contents(run(shelf.load(manifest.id))) == contents(make_stream(groups))


def test_some_variables_come_with_their_group_and_all_definitions(shelf):
    manifest = run(shelf.save())
    found = records(run(shelf.load(manifest.id, ["c"])))
    told = [record.value for record in found if isinstance(record, JsonRecord)]
    assert [item.get("names") for item in told[1:-1]] == [["f"], ["c"]]
    assert [item["name"] for item in told[-1]["variables"]] == ["c"]
    assert told[0]["total_bytes"] == len(b"definitions") + CHUNK_BYTES
    with pytest.raises(InvalidInput, match="no variable x, y"):
        run(shelf.load(manifest.id, ["a", "y", "x"]))


def test_progress_is_told(shelf):
    async def check():
        data = make_stream([make_group(["a"], b"s", [BIG])])
        async with await shelf.catalogue.begin(FACTS) as writer:
            assert writer.progress == (0, 0)
            await writer.feed(data[: 3 * CHUNK_BYTES])
            done, total = writer.progress
            assert 2 * CHUNK_BYTES < done < 3 * CHUNK_BYTES
            assert total == len(BIG) + 1
            assert not writer.is_complete
            await writer.feed(data[3 * CHUNK_BYTES :])
            assert writer.progress == (total, total)
            assert writer.is_complete

    run(check())


def test_what_is_over_is_over(shelf):
    async def check():
        writer = await shelf.catalogue.begin(FACTS)
        await writer.feed(make_stream([]))
        manifest = await writer.commit()
        await writer.abort()
        with pytest.raises(Conflict):
            await writer.feed(b"")
        with pytest.raises(Conflict):
            await writer.commit()
        assert await shelf.load(manifest.id)

    run(check())


def test_a_reader_that_nobody_listens_to_lets_go(shelf):
    async def check():
        manifest = await shelf.save()
        reader = await shelf.catalogue.open(manifest.id)
        stream = reader.stream()
        await anext(stream)
        assert not (await shelf.catalogue.collect_garbage()).is_done
        await stream.aclose()
        assert (await shelf.catalogue.collect_garbage()).is_done

    run(check())


parts = st.binary(max_size=300) | st.sampled_from(
    [BIG[:CHUNK_BYTES], BIG[: CHUNK_BYTES + 1], BIG[5:CHUNK_BYTES], bytes(2 * CHUNK_BYTES)]
)
groups = st.builds(
    lambda number, stream, buffers, singles, kind: make_group(
        [f"v{number}", *singles], stream, buffers, kind=kind, singles=singles
    ),
    st.integers(0, 99),
    parts,
    st.lists(parts, max_size=4),
    st.dictionaries(st.text(max_size=5), st.binary(max_size=50), max_size=3),
    st.sampled_from(["values", "definitions", "session"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(groups, max_size=5), st.integers(1, 3 * CHUNK_BYTES), st.booleans())
def test_any_state_comes_out_as_it_went_in(made, piece, has_digests):
    shelf = Shelf()

    async def check():
        data = make_stream(made, has_digests=has_digests)
        step = max(piece, len(data) // 500)
        first = await shelf.save(data, piece=step)
        second = await shelf.save(make_stream(made), parent=first.id, piece=step)
        assert second.new_bytes == 0
        expected = contents(make_stream(made))
        for manifest in (first, second):
            assert contents(await shelf.load(manifest.id)) == expected
        file = await gather(shelf.catalogue.export(second.id))
        taken = await shelf.catalogue.import_(pieces_of(file, step))
        assert contents(await shelf.load(taken.id)) == expected

    run(check())
