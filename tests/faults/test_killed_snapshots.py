"""Snapshots are complete or not there: killed at every step, on a full disk, without a store.

And however large they are, the memory that they take is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_remote_kernels.errors import StoreFull, StoreUnavailable
from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from tests.engines.tools import call, require_root
from tests.faults.killed_writer import FIRST, KEY, SECOND, take

ROOT = Path(__file__).resolve().parents[2]


async def content(catalogue, snapshot_id):
    reader = await catalogue.open(snapshot_id)
    assert await reader.check() == []
    return b"".join([bytes(item) async for item in reader.stream()])


def files(root):
    return {path for path in root.rglob("*") if path.is_file()}


@pytest.mark.timeout(120)
def test_killed_at_every_step_of_a_commit(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_writer", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    steps = told["steps"]
    assert {"open", "writev", "fsync", "rename", "close"} <= set(steps)
    assert len(steps) > 12
    visible = []
    for number, step in enumerate(steps, 1):
        root = tmp_path / f"step-{number:03}"

        async def check(root=root, step=step):
            catalogue = SnapshotCatalogue(FileStore(root), KEY)
            found = await catalogue.list()
            assert [item.problem for item in found] == [""] * len(found)
            ids = {item.id for item in found}
            assert told["first"] in ids
            visible.append(len(ids) == 2)
            assert await content(catalogue, told["first"])
            for new in ids - {told["first"]}:
                assert len(await content(catalogue, new)) > len(FIRST)
            assert (await catalogue.collect_garbage()).is_done
            # The lock, the test's own note, and for each snapshot a document and a pack.
            assert len(files(root)) == 2 + 2 * len(ids), step
            again = await take(root, SECOND, told["first"])
            assert len(await content(catalogue, again.id)) > len(FIRST)

        asyncio.run(check())
    # From one step on it is there, and never half.
    assert visible == sorted(visible)
    assert steps[visible.index(True) - 1] == "rename"
    assert not visible[0]


BIG = make_stream([make_group(["big"], b"", [os.urandom(12 << 20)])])


def check_full(root, first):
    """A snapshot that does not fit is refused, and everything else is as before."""

    async def check():
        catalogue = SnapshotCatalogue(FileStore(root), KEY)
        before = files(root)
        with pytest.raises(StoreFull) as info:
            await take(root, BIG)
        assert "full" in info.value.message
        assert info.value.hint
        assert files(root) == before
        assert await content(catalogue, first)
        assert [item.id for item in await catalogue.list()] == [first]

    asyncio.run(check())


def fill(path):
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_full_disk(tmp_path):
    require_root()
    root = tmp_path / "small"
    root.mkdir()
    call("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(root))
    try:
        first = asyncio.run(take(root, FIRST))
        check_full(root, first.id)
        # Full to the last byte: not even the manifest of a state that is known has room.
        filler = root / "filler"
        fill(filler)
        with pytest.raises(StoreFull):
            asyncio.run(take(root, SECOND, first.id))
        filler.unlink()
        assert asyncio.run(take(root, SECOND, first.id)).new_bytes < len(SECOND)
    finally:
        call("umount", "-l", str(root))


def test_limit_of_the_file_size(tmp_path):
    first = asyncio.run(take(tmp_path, FIRST))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, old[1]))
    try:
        check_full(tmp_path, first.id)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_store_that_goes_away(tmp_path):
    root = tmp_path / "snapshots"
    first = asyncio.run(take(root, FIRST))

    async def check():
        catalogue = SnapshotCatalogue(FileStore(root), KEY)
        async with await catalogue.begin(SnapshotFacts(), first.id) as writer:
            await writer.feed(SECOND[: len(SECOND) // 2])
            # As a network file system that is unmounted by force: its names lead nowhere.
            root.rename(tmp_path / "away")
            root.write_text("no directory")
            await writer.feed(SECOND[len(SECOND) // 2 :])
            with pytest.raises(StoreUnavailable):
                await writer.commit()
            root.unlink()
            (tmp_path / "away").rename(root)
        assert [item.id for item in await catalogue.list()] == [first.id]
        assert (await catalogue.collect_garbage()).is_done
        assert len(files(root)) == 3
        assert await content(catalogue, first.id)

    asyncio.run(check())


@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_the_state(tmp_path):
    chunks = 400
    command = [sys.executable, "-m", "tests.faults.snapshot_memory", str(tmp_path), str(chunks)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    written, read = map(int, result.stdout.split())
    assert written < 48 << 20
    assert read < 48 << 20
