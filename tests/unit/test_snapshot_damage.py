"""Damaged, forged and missing parts of snapshots are found, and cost no more than they must."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jupyter_remote_kernels.errors import SnapshotDamaged, SnapshotUntrusted, StoreUnavailable
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import read_manifest
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from tests.unit.snapshot_tools import Shelf, gather, names_in, records, run, shelf

__all__ = ["shelf"]


def test_each_byte_of_a_manifest_counts(shelf):
    groups = [make_group(["a"], b"s", [b"buffer"]), make_group([], b"t", kind="session")]
    run(shelf.save(make_stream(groups), name="name"))
    ((_, document),) = shelf.store.stored.values()
    other = SnapshotKey(b"o" * 32)
    refused = (SnapshotDamaged, SnapshotUntrusted)
    for at in range(len(document)):
        for bit in (1, 0x20, 0x80):
            bad = bytearray(document)
            bad[at] ^= bit
            with pytest.raises(refused):
                read_manifest(bytes(bad), shelf.key)
    for size in range(len(document)):
        with pytest.raises(SnapshotDamaged):
            read_manifest(document[:size], shelf.key)
    with pytest.raises(SnapshotDamaged):
        read_manifest(document + b"\n", shelf.key)
    with pytest.raises(SnapshotUntrusted):
        read_manifest(document, other)
    assert read_manifest(document, other, trust=True) == read_manifest(document, shelf.key)


def test_each_field_of_a_manifest_is_signed(shelf):
    manifest = run(shelf.save(name="name"))
    ((_, document),) = shelf.store.stored.values()
    body = json.loads(document)["manifest"]
    assert set(body) == {
        *("version", "id", "name", "description", "created_at", "runtime_id", "environment"),
        *("owner", "automatic", "parent_id", "total_bytes", "new_bytes", "begin", "end"),
        *("packs", "groups"),
    }
    for field, value in body.items():
        text = json.dumps(value, separators=(",", ":")).encode()
        assert text in document
        start = document.index(b'"' + field.encode() + b'":') + len(field) + 3
        bad = bytearray(document)
        bad[start] = ord(b"[") if bad[start] != ord(b"[") else ord(b"{")
        with pytest.raises(SnapshotDamaged):
            read_manifest(bytes(bad), shelf.key)
    other = Shelf(shelf.store, b"o" * 32)
    forged = replace(manifest, name="forged").signed(other.key)
    with pytest.raises(SnapshotUntrusted):
        read_manifest(forged, shelf.key)
    # The right key's id above a signature by another key.
    forged = forged.replace(other.key.id.encode(), shelf.key.id.encode())
    with pytest.raises(SnapshotDamaged):
        read_manifest(forged, shelf.key)


GROUP = {"type": "group", "names": ["a"], "stream_bytes": 4, "singles": {}, "buffers": []}
BAD_BODIES = {
    "version": 2,
    "id": "../x",
    "name": None,
    "automatic_missing": None,
    "packs": ["../x"],
    "begin": [],
    "end": {"variables": [{}]},
    "total_bytes": -1,
    "new_bytes": True,
    "groups": [{"record": GROUP, "chunks": []}],
}


@pytest.mark.parametrize("field", BAD_BODIES)
def test_a_trusted_stranger_must_still_write_properly(shelf, field):
    run(shelf.save())
    ((_, document),) = shelf.store.stored.values()
    value = json.loads(document)
    if field.endswith("_missing"):
        del value["manifest"][field.removesuffix("_missing")]
    else:
        value["manifest"][field] = BAD_BODIES[field]
    text = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(SnapshotDamaged):
        read_manifest(text, SnapshotKey(b"o" * 32), trust=True)


def test_each_flipped_byte_of_a_pack_is_found(shelf):
    groups = [
        make_group(["a"], b"stream", [b"buffer"], singles={"a": b"single"}),
        make_group(["b"], b"other"),
    ]
    manifest = run(shelf.save(make_stream(groups)))
    ((pack, content),) = shelf.store.sealed.items()

    async def check():
        for at in range(len(content)):
            bad = bytearray(content)
            bad[at] ^= 1
            shelf.store.sealed[pack] = bytes(bad)
            lost, kept = ("a", "b") if at < 18 else ("b", "a")
            reader = await shelf.catalogue.open(manifest.id)
            with pytest.raises(SnapshotDamaged) as info:
                await gather(reader.stream())
            assert info.value.names == (lost,)
            assert lost in info.value.message
            assert names_in(await gather(reader.stream([kept]))) == [[kept]]

    run(check())


def test_damage_costs_its_group_by_name(shelf):
    manifest = run(shelf.save())
    ((pack, content),) = shelf.store.sealed.items()
    bad = bytearray(content)
    bad[manifest.groups[3].chunks[0].offset] ^= 1
    shelf.store.sealed[pack] = bytes(bad)

    async def check():
        reader = await shelf.catalogue.open(manifest.id)
        damaged = await reader.check()
        assert [(item.index, item.names) for item in damaged] == [(3, ("d",))]
        data = await gather(reader.stream(without=damaged))
        assert names_in(data) == [["f"], ["a", "b"], ["c"]]
        report = {item["name"]: item for item in records(data)[-1].value["variables"]}
        assert report["d"]["status"] == "refused"
        assert "Damaged" in report["d"]["reason"]
        assert report["a"]["status"] == "carried"

    run(check())


def test_each_chunk_of_a_large_pack_is_checked(shelf):
    manifest = run(shelf.save())
    ((pack, content),) = shelf.store.sealed.items()

    async def check():
        for group in manifest.groups:
            for chunk in group.chunks:
                bad = bytearray(content)
                bad[chunk.offset + chunk.size // 2] ^= 0x10
                shelf.store.sealed[pack] = bytes(bad)
                with pytest.raises(SnapshotDamaged):
                    await shelf.load(manifest.id)

    run(check())


def test_a_truncated_or_missing_pack_is_damage(shelf):
    groups = [make_group(["a"], b"stream"), make_group(["b"], b"other")]
    manifest = run(shelf.save(make_stream(groups)))
    ((pack, content),) = shelf.store.sealed.items()
    for size in range(len(content)):
        shelf.store.sealed[pack] = content[:size]
        with pytest.raises(SnapshotDamaged):
            run(shelf.load(manifest.id))
    del shelf.store.sealed[pack]
    with pytest.raises(SnapshotDamaged) as info:
        run(shelf.load(manifest.id))
    assert info.value.names == ("a",)


def test_a_store_that_is_away_is_no_damage(shelf):
    manifest = run(shelf.save())
    shelf.store.failing["read"] = StoreUnavailable("away")

    async def check():
        reader = await shelf.catalogue.open(manifest.id)
        with pytest.raises(StoreUnavailable):
            await reader.check()
        with pytest.raises(StoreUnavailable):
            await gather(reader.stream())

    run(check())
