"""The catalogue: lists, names, what is kept and what goes, files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jupyter_remote_kernels.errors import (
    InvalidInput,
    SnapshotDamaged,
    SnapshotNotFound,
    SnapshotUntrusted,
)
from jupyter_remote_kernels.snapshots.catalogue import Collected, Retention
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from tests.unit.snapshot_tools import FACTS, GROUPS, Shelf, contents, gather, pieces_of, run, shelf

__all__ = ["shelf"]


def test_names_and_descriptions(shelf):
    async def check():
        first = await shelf.save()
        assert (await shelf.catalogue.list())[0].facts.automatic
        named = await shelf.catalogue.rename(first.id, "Über", "two\nlines")
        assert (named.name, named.description) == ("Über", "two\nlines")
        assert not named.facts.automatic
        assert await shelf.catalogue.list() == [named]
        assert (await shelf.catalogue.rename(first.id, "other")).description == "two\nlines"
        assert contents(await shelf.load(first.id)) == contents(make_stream(GROUPS))
        for bad in ("x" * 201, "a\0b"):
            with pytest.raises(InvalidInput):
                await shelf.catalogue.rename(first.id, bad)
            with pytest.raises(InvalidInput):
                await shelf.save(name=bad)
        with pytest.raises(SnapshotNotFound):
            await shelf.catalogue.rename("0" * 32, "name")

    run(check())


def test_a_list_reads_only_what_is_new(shelf):
    async def check():
        first = await shelf.save()
        await shelf.catalogue.list()
        second = await shelf.save()
        shelf.store.calls.clear()
        assert [item.id for item in await shelf.catalogue.list()] == [second.id, first.id]
        assert shelf.store.calls == ["documents", "get_document"]
        summary = (await shelf.catalogue.list())[0]
        assert summary.kernel == {"python": "3.11.7"}
        assert (summary.facts, summary.total_bytes) == (FACTS, first.total_bytes)
        assert [item["name"] for item in summary.variables] == ["f", "a", "b", "c", "d"]

    run(check())


def test_what_cannot_be_opened_is_listed_and_can_be_deleted(shelf):
    async def check():
        first = await shelf.save()
        second = await shelf.save(make_stream(GROUPS[:2]))
        number, document = shelf.store.stored[first.id]
        shelf.store.stored[first.id] = (number + 10, document[:-5])
        problems = {item.id: item.problem for item in await shelf.catalogue.list()}
        assert problems == {first.id: "snapshot_damaged", second.id: ""}
        # Of this one it cannot be told which packs are its own, so none is removed.
        assert not (await shelf.catalogue.collect_garbage()).is_done
        collected = await shelf.catalogue.delete(first.id)
        assert collected.is_done
        assert collected.freed_bytes >= first.new_bytes
        assert contents(await shelf.load(second.id)) == contents(make_stream(GROUPS[:2]))
        with pytest.raises(SnapshotNotFound):
            await shelf.catalogue.delete(first.id)

    run(check())


def test_a_manifest_in_another_place_is_refused(shelf):
    first = run(shelf.save())
    shelf.store.stored["0" * 32] = shelf.store.stored[first.id]
    with pytest.raises(SnapshotDamaged):
        run(shelf.catalogue.open("0" * 32))


def test_a_key_that_was_replaced_costs_no_packs(shelf):
    async def check():
        first = await shelf.save()
        other = Shelf(shelf.store, b"o" * 32)
        assert [item.problem for item in await other.catalogue.list()] == ["snapshot_untrusted"]
        with pytest.raises(SnapshotUntrusted):
            await other.catalogue.open(first.id)
        assert await other.catalogue.collect_garbage() == Collected()
        assert contents(await shelf.load(first.id)) == contents(make_stream(GROUPS))

    run(check())


def test_nothing_is_collected_while_somebody_writes(shelf):
    async def check():
        first = await shelf.save()
        async with await shelf.catalogue.begin(FACTS, first.id) as writer:
            assert not (await shelf.catalogue.delete(first.id)).is_done
            await writer.feed(make_stream(GROUPS, known=writer.known))
            second = await writer.commit()
        assert contents(await shelf.load(second.id)) == contents(make_stream(GROUPS))
        assert (await shelf.catalogue.delete(second.id)).packs == 1
        assert shelf.store.sealed == {}

    run(check())


def test_retention_keeps_what_people_took_and_the_last_ones(shelf):
    async def check():
        mine = await shelf.save(facts=replace(FACTS, automatic=False))
        named = await shelf.save()
        await shelf.catalogue.rename(named.id, "name")
        old = [(await shelf.save()).id for _ in range(4)]
        other = await shelf.save(facts=replace(FACTS, runtime_id="other"))
        gone = await shelf.catalogue.prune(Retention(keep_last=2), keep={old[0]})
        assert gone == (old[1],)
        assert await shelf.catalogue.prune(Retention(max_age_s=3600)) == ()
        gone = await shelf.catalogue.prune(Retention(max_age_s=0), keep={old[0]})
        assert set(gone) == {old[2], old[3], other.id}
        assert {item.id for item in await shelf.catalogue.list()} == {mine.id, named.id, old[0]}
        assert await shelf.catalogue.prune(Retention()) == ()

    run(check())


def take_in(shelf, data, **options):
    return run(shelf.catalogue.import_(pieces_of(data), **options))


def test_a_file_goes_out_and_comes_in(shelf):
    manifest = run(shelf.save(name="name"))
    data = run(gather(shelf.catalogue.export(manifest.id)))
    # Chunks that come again are only named.
    assert len(data) < manifest.new_bytes + 20_000
    run(shelf.catalogue.delete(manifest.id))
    taken = take_in(shelf, data, owner="grace")
    assert taken.id != manifest.id
    assert (taken.name, taken.facts) == ("name", replace(FACTS, owner="grace", automatic=False))
    assert contents(run(shelf.load(taken.id))) == contents(make_stream(GROUPS))
    # A file of a file is as good.
    again = take_in(shelf, run(gather(shelf.catalogue.export(taken.id))))
    assert contents(run(shelf.load(again.id))) == contents(make_stream(GROUPS))


def test_a_foreign_file_needs_trust(shelf):
    stranger = Shelf(secret=b"s" * 32)
    manifest = run(stranger.save())
    data = run(gather(stranger.catalogue.export(manifest.id)))
    with pytest.raises(SnapshotUntrusted):
        take_in(shelf, data)
    assert "write_pack" not in shelf.store.calls
    taken = take_in(shelf, data, trust=True)
    assert contents(run(shelf.load(taken.id))) == contents(make_stream(GROUPS))


@pytest.mark.parametrize("trust", [False, True])
def test_each_byte_of_a_file_counts(shelf, trust):
    source = Shelf(secret=b"s" * 32) if trust else shelf
    groups = [make_group(["a"], b"s", [b"buffer"]), make_group([], b"t", kind="session")]
    manifest = run(source.save(make_stream(groups)))
    data = run(gather(source.catalogue.export(manifest.id)))
    # Who trusts a stranger believes his manifest; the state must still be the one in it.
    start = data.index(b'{"type":"begin"') - 9 if trust else 0
    # How far the progress goes is a fact of the transfer, not of the state.
    total = data.index(b'"total_bytes":', start) + len(b'"total_bytes":')
    taken = []

    async def check():
        for at in range(start, len(data)):
            bad = bytearray(data)
            bad[at] ^= 1
            try:
                await shelf.catalogue.import_(pieces_of(bytes(bad)), trust=trust)
            except (InvalidInput, SnapshotDamaged, SnapshotUntrusted):
                continue
            taken.append(at)
        for size in range(start, len(data), 3):
            with pytest.raises((InvalidInput, SnapshotDamaged)):
                await shelf.catalogue.import_(pieces_of(data[:size]), trust=trust)

    run(check())
    assert set(taken) <= {total}
    assert shelf.store.open == {}
