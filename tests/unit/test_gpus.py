"""GPUs: found with the driver, given to one job at a time, given back."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.errors import LimitExceeded
from jupyter_remote_kernels.providers.gpus import GpuNotes, find_gpus

TWO = ["GPU-1111-aaaa", "GPU-2222-bbbb"]


@pytest.fixture
def driver(tmp_path):
    """A driver's listing as Linux shows it."""
    for number, identity in enumerate(TWO):
        entry = tmp_path / "driver" / f"0000:0{number}:00.0"
        entry.mkdir(parents=True)
        (entry / "information").write_text(
            f"Model: \t\t NVIDIA H200\nIRQ:   \t\t {number}\nGPU UUID: \t {identity}\n"
        )
    return tmp_path / "driver"


@pytest.mark.parametrize(
    "visible, found",
    [
        (None, TWO),
        ("", []),
        ("1", TWO[1:]),
        ("0, 1", TWO),
        ("GPU-2222", TWO[1:]),
        ("7", []),
    ],
)
def test_only_what_this_process_may_use(driver, monkeypatch, visible, found):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_gpus(driver) == found


def test_machine_without_a_driver(tmp_path):
    assert find_gpus(tmp_path / "nothing") == []


def test_each_is_given_once(tmp_path):
    first, second = (GpuNotes(tmp_path / "notes", TWO) for _ in range(2))
    assert first.take("a", 1) == TWO[:1]
    assert second.take("b", 1) == TWO[1:]
    for notes in (first, second):
        with pytest.raises(LimitExceeded, match="this machine has 2, and 2 are in use") as caught:
            notes.take("c", 1)
    assert caught.value.limit == {
        "name": "gpu",
        "scope": "provider",
        "asked": 1,
        "allowed": 2,
        "used": 2,
    }
    GpuNotes(tmp_path / "notes", []).give_back("a")
    second.check(1)
    assert second.take("c", 1) == TWO[:1]


def test_more_than_there_are(tmp_path):
    notes = GpuNotes(tmp_path / "notes", TWO)
    with pytest.raises(LimitExceeded):
        notes.check(3)
    assert notes.take("a", 2) == TWO
    notes.give_back("nobody")
    notes.give_back("a")
    notes.give_back("a")
    notes.check(2)


def test_none_asked_for_is_none_given(tmp_path):
    notes = GpuNotes(tmp_path / "notes", [])
    notes.check(0)
    assert notes.take("a", 0) == []
    notes.give_back("a")
    assert not (tmp_path / "notes").exists()
