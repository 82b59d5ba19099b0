"""Frames beyond a limit go to a file; the order and every byte stay."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.agent import spill
from jupyter_remote_kernels.agent.spill import SpillingFrames

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 40)),
        st.tuples(st.just("forget"), st.integers(0, 60)),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 60))
def test_as_a_list_would(tmp_path_factory, steps, start):
    kept = SpillingFrames(str(tmp_path_factory.getbasetemp()), memory_bytes=64)
    model = []
    number = 0
    for step, amount in steps:
        if step == "append":
            number += 1
            frame = bytes([number % 256]) * amount
            kept.append(number, frame)
            model.append((number, frame))
        else:
            kept.forget(amount)
            model = [item for item in model if item[0] > amount]
        assert kept.memory_bytes <= 64
        total = sum(len(frame) for _, frame in model)
        assert kept.memory_bytes + kept.spilled_bytes == total
    assert list(kept.after(start)) == [frame for own, frame in model if own > start]
    kept.close()


def test_file_has_no_name_and_gives_its_room_back(tmp_path):
    kept = SpillingFrames(str(tmp_path), memory_bytes=10)
    for number in range(1, 100):
        kept.append(number, b"x" * 1000)
    assert list(tmp_path.iterdir()) == []
    descriptor = kept._file.fileno()
    assert os.fstat(descriptor).st_size == 99_000
    assert os.fstat(descriptor).st_mode & 0o077 == 0
    kept.forget(99)
    assert os.fstat(descriptor).st_size == 0
    kept.append(100, b"y" * 5)
    assert list(kept.after(0)) == [b"y" * 5]
    kept.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_full_disk_loses_nothing(tmp_path, monkeypatch):
    kept = SpillingFrames(str(tmp_path), memory_bytes=10)

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spill.os, "pwrite", refuse)
    with pytest.raises(OSError, match="No space left"):
        kept.append(1, b"x" * 20)
    assert list(kept.after(0)) == [b"x" * 20]
    kept.close()


def test_directory_that_is_gone(tmp_path):
    kept = SpillingFrames(str(Path(tmp_path) / "nothing"), memory_bytes=1)
    with pytest.raises(FileNotFoundError):
        kept.append(1, b"xx")
    assert list(kept.after(0)) == [b"xx"]
