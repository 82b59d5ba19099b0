"""Snapshots that fail while they are written leave nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.errors import InvalidInput, StateError, StoreFull, StoreUnavailable
from jupyter_remote_kernels.protocol.state_stream import (
    ChunkRecord,
    DigestsRecord,
    FileRecord,
    KnownRecord,
    digest_of,
    encode_json,
)
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from tests.unit.snapshot_tools import BIG, GROUPS, contents, run, shelf

__all__ = ["shelf"]

BEGIN = {"type": "begin", "version": 1, "hash": "sha256", "total_bytes": 9}
GROUP = {"type": "group", "names": ["a"], "stream_bytes": 4, "singles": {}, "buffers": []}
DATA = b"".join(ChunkRecord(digest_of(b"data"), b"data").encode())
END = {"type": "end", "variables": []}


def joined(*items):
    return b"".join(encode_json(item) if isinstance(item, dict) else item for item in items)


def encoded(record):
    return b"".join(record.encode())


BAD_STREAMS = {
    "nothing": b"",
    "no beginning": joined(GROUP, DATA, END),
    "two beginnings": joined(BEGIN, BEGIN, END),
    "other version": joined({**BEGIN, "version": 2}, END),
    "other digests": joined({**BEGIN, "hash": "md5"}, END),
    "files": joined({**BEGIN, "files": ["/etc/passwd"]}, END),
    "no total": joined({**BEGIN, "total_bytes": "9"}, END),
    "chunk before any group": joined(BEGIN, DATA, END),
    "chunk missing": joined(BEGIN, GROUP, END),
    "chunk too many": joined(BEGIN, GROUP, DATA, DATA, END),
    "chunk over its part": joined(BEGIN, {**GROUP, "stream_bytes": 3}, DATA, END),
    "chunk over two parts": joined(
        BEGIN, {**GROUP, "stream_bytes": 2, "buffers": [{"size": 2}]}, DATA, END
    ),
    "wrong digest": joined(BEGIN, GROUP, encoded(ChunkRecord(b"d" * 32, b"data")), END),
    "unknown chunk": joined(BEGIN, GROUP, encoded(KnownRecord(digest_of(b"data"), 4)), END),
    "known chunk of no digest": joined(BEGIN, GROUP, encoded(KnownRecord(bytes(32), 4)), END),
    "file": joined(BEGIN, GROUP, encoded(FileRecord(digest_of(b"data"), 0, 4, 0)), END),
    "digests": joined(BEGIN, encoded(DigestsRecord((b"d" * 32,))), END),
    "names": joined(BEGIN, {**GROUP, "names": 5}, DATA, END),
    "sizes": joined(BEGIN, {**GROUP, "stream_bytes": -4}, DATA, END),
    "report": joined(BEGIN, {**END, "variables": [5]}),
    "unknown type": joined(BEGIN, {"type": "other"}, END),
    "after the end": joined(BEGIN, END, END),
    "half a record after the end": joined(BEGIN, END, b"J123"),
    "no end": joined(BEGIN, GROUP, DATA),
    "no stream": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("stream", BAD_STREAMS.values(), ids=BAD_STREAMS)
def test_what_is_no_state_stream_leaves_nothing(shelf, stream):
    with pytest.raises(InvalidInput) as info:
        run(shelf.save(stream))
    assert info.value.reason in ("bad_state_stream", "bad_chunk")
    assert (shelf.store.sealed, shelf.store.open, shelf.store.stored) == ({}, {}, {})


def test_a_kernel_that_fails_is_quoted(shelf):
    error = {"type": "error", "reason": "capture_failed", "message": "No.", "hint": "Again."}
    with pytest.raises(StateError, match="No") as info:
        run(shelf.save(joined(BEGIN, GROUP, error)))
    assert (info.value.reason, info.value.hint) == ("capture_failed", "Again.")
    assert shelf.store.open == {}


@pytest.mark.parametrize("point", ["write_pack", "append", "seal", "put_document"])
@pytest.mark.parametrize("error", [StoreFull("full"), StoreUnavailable("away")])
@pytest.mark.parametrize("when", ["failing", "failing_after"])
def test_a_store_that_fails_leaves_no_snapshot(shelf, point, error, when):
    first = run(shelf.save())
    packs = dict(shelf.store.sealed)
    getattr(shelf.store, when)[point] = error
    changed = [make_group(["x"], b"x", [BIG[::-1]])]
    with pytest.raises(type(error)):
        run(shelf.save(make_stream(changed)))
    getattr(shelf.store, when).clear()
    assert [item.id for item in run(shelf.catalogue.list())] == [first.id]
    assert run(shelf.catalogue.collect_garbage()).is_done
    assert (shelf.store.sealed, shelf.store.open) == (packs, {})
    assert contents(run(shelf.load(first.id))) == contents(make_stream(GROUPS))


def test_a_document_of_which_nothing_is_known_keeps_its_packs(shelf):
    # It was written, but the store says that it failed and cannot be asked any more.
    shelf.store.failing_after["put_document"] = StoreUnavailable("away")
    shelf.store.failing["delete_document"] = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        run(shelf.save())
    shelf.store.failing.clear()
    (item,) = run(shelf.catalogue.list())
    assert contents(run(shelf.load(item.id))) == contents(make_stream(GROUPS))


@pytest.mark.parametrize("point", ["write_pack", "append", "seal", "put_document"])
def test_cancelled_while_it_is_written(shelf, point):
    async def check():
        gate = shelf.store.block(point)
        task = asyncio.create_task(shelf.save())
        await asyncio.wait_for(shelf.store.reached.wait(), 10)
        task.cancel()
        # It ends, and takes back what it has done, when the store answers.
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await shelf.catalogue.collect_garbage()
        assert await shelf.catalogue.list() == []
        assert (shelf.store.sealed, shelf.store.open) == ({}, {})
        shelf.store.blocked.clear()
        await shelf.save()

    run(check())
