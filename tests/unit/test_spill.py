"""What waits beyond a limit goes to files; the order and every byte stay."""

from __future__ import annotations

import errno
import os
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels import spill
from jupyter_remote_kernels.spill import SpillingQueue

STEPS = st.lists(st.one_of(st.integers(0, 40), st.none(), st.just("full")), max_size=80)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(spill, "SEGMENT_BYTES", 100)


class Disk:
    """Lets every write fail while it is full."""

    def __init__(self, monkeypatch):
        self.is_full = False
        self._write = os.pwrite
        monkeypatch.setattr(spill.os, "pwrite", self.write)

    def write(self, descriptor, data, offset):
        if self.is_full:
            # As a real one: some of it is written, then nothing more.
            self._write(descriptor, bytes(data)[:1], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(descriptor, data, offset)


@given(STEPS)
def test_as_a_list_would(tmp_path_factory, steps):
    with pytest.MonkeyPatch.context() as monkeypatch:
        disk = Disk(monkeypatch)
        queue = SpillingQueue(str(tmp_path_factory.getbasetemp()), memory_bytes=64)
        model = deque()
        for count, step in enumerate(steps):
            if step == "full":
                disk.is_full = not disk.is_full
            elif step is None:
                if model:
                    assert queue.next_bytes == len(model[0])
                    assert b"".join(queue.take()) == model.popleft()
            else:
                message = bytes([count % 256]) * step
                model.append(message)
                try:
                    queue.append([message[:7], memoryview(message)[7:]])
                except OSError:
                    assert disk.is_full
                else:
                    assert queue.memory_bytes <= 64
            assert len(queue) == len(model)
            assert queue.size_bytes == sum(map(len, model))
        assert [b"".join(queue.take()) for _ in range(len(queue))] == list(model)
        assert queue.size_bytes == 0
        queue.close()


def open_files(folder):
    """Sizes of the nameless files below a folder that this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{descriptor}")
            if name.startswith(str(folder)):
                found.append(os.fstat(int(descriptor)))
        except OSError:
            continue
    return found


def test_files_have_no_name_and_give_their_room_back(tmp_path):
    queue = SpillingQueue(str(tmp_path), memory_bytes=10)
    for _ in range(100):
        queue.append([b"x" * 60])
    assert list(tmp_path.iterdir()) == []
    files = open_files(tmp_path)
    assert len(files) == 50
    assert all(info.st_mode & 0o077 == 0 for info in files)
    for _ in range(50):
        queue.take()
    assert len(open_files(tmp_path)) == 25
    for _ in range(50):
        queue.take()
    assert open_files(tmp_path) == []
    assert (len(queue), queue.size_bytes) == (0, 0)


def test_full_disk_is_told_and_loses_nothing(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    queue = SpillingQueue(str(tmp_path), memory_bytes=10)
    queue.append([b"a" * 10])
    queue.append([b"b" * 10])
    disk.is_full = True
    for letter in (b"c", b"d"):
        with pytest.raises(OSError, match="No space"):
            queue.append([letter * 10])
    assert (queue.memory_bytes, queue.spilled_bytes) == (30, 10)
    disk.is_full = False
    queue.append([b"e" * 10])
    assert (queue.memory_bytes, queue.spilled_bytes) == (10, 40)
    assert [b"".join(queue.take())[:1] for _ in range(5)] == [b"a", b"b", b"c", b"d", b"e"]


def test_closed_queue_holds_nothing(tmp_path):
    queue = SpillingQueue(str(tmp_path), memory_bytes=1)
    queue.append([b"some"])
    queue.append([b"more"])
    queue.close()
    assert (len(queue), queue.size_bytes) == (0, 0)
    assert open_files(tmp_path) == []
    with pytest.raises(IndexError):
        queue.take()
