"""The key of the snapshots: made once, private, and never guessed at."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from jupyter_remote_kernels.errors import StoreUnavailable
from jupyter_remote_kernels.snapshots.key import SnapshotKey


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "snapshots.key"


def test_it_is_made_once_and_only_its_owner_reads_it(path):
    old = os.umask(0)
    try:
        first = SnapshotKey.load(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 32
    second = SnapshotKey.load(path)
    assert second.verifies(b"data", first.sign(b"data"))
    assert not second.verifies(b"date", first.sign(b"data"))
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_of_several_that_make_it_at_once_one_wins(path):
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: SnapshotKey.load(path), range(64)))
    assert len({key.id for key in keys}) == 1
    assert len(list(path.parent.iterdir())) == 1


def test_its_name_tells_nothing(path):
    key = SnapshotKey.load(path)
    secret = path.read_bytes()
    assert secret.hex() not in repr(key)
    assert key.id not in secret.hex()
    assert SnapshotKey(bytes(32)).id != key.id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_can_use_is_none(path, mode):
    SnapshotKey.load(path)
    path.chmod(mode)
    with pytest.raises(StoreUnavailable, match="can be used by others") as info:
        SnapshotKey.load(path)
    assert info.value.reason == "snapshot_key_not_private"
    assert str(path.parent) not in info.value.message + info.value.hint


@pytest.mark.parametrize("content", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_none(path, content):
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable) as info:
        SnapshotKey.load(path)
    assert info.value.reason == "snapshot_key_bad"


def test_a_link_is_not_followed(path, tmp_path):
    SnapshotKey.load(tmp_path / "other")
    path.parent.mkdir()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(StoreUnavailable) as info:
        SnapshotKey.load(path)
    assert info.value.reason == "snapshot_key_unreadable"
