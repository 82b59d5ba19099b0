"""Sealed files: read by whoever has the secret, and only as they were written."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.errors import SnapshotDamaged
from jupyter_remote_kernels.protocol.saving import LEAST_LEAD_S, find_lead_s
from jupyter_remote_kernels.protocol.sealing import FRAME_BYTES, Opener, Sealer

SECRET = b"a runtime's token"


def seal(*parts, secret=SECRET):
    sealer = Sealer(secret)
    frames = [sealer.seal(part) for part in parts]
    return b"".join([sealer.head, *frames, sealer.seal(b"", is_last=True)])


def read(content, secret=SECRET, step=None):
    """Return what is in a file, and whether it was whole."""
    opener = Opener(secret)
    step = step or max(1, len(content))
    parts = [
        part for at in range(0, len(content), step) for part in opener.feed(content[at : at + step])
    ]
    return b"".join(parts), opener.is_complete


@pytest.mark.parametrize("step", [1, 7, 1000, None])
def test_what_was_sealed_comes_back(step):
    assert read(seal(b"one", b"", b"two" * 100), step=step) == (b"one" + b"two" * 100, True)


def test_a_whole_frame():
    data = bytes(range(256)) * (FRAME_BYTES // 256)
    assert read(seal(data)) == (data, True)


def test_nothing_of_it_can_be_read_or_is_the_same_twice():
    first, second = seal(b"secret" * 50), seal(b"secret" * 50)
    assert b"secret" not in first
    assert first[24:] != second[24:]


def test_every_flipped_byte_is_found_before_its_frame_is_used():
    content = seal(b"one", b"two", b"three")
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1
        try:
            found, is_complete = read(bytes(damaged))
        except SnapshotDamaged:
            continue
        # A length that is damaged makes it wait for more that never comes.
        assert not is_complete
        assert b"onetwothree".startswith(found)


def test_frames_that_are_missing_moved_or_added():
    sealer = Sealer(SECRET)
    one, two, last = sealer.seal(b"1"), sealer.seal(b"2"), sealer.seal(b"", is_last=True)
    assert read(sealer.head + one + two) == (b"12", False)
    for wrong in (two + one + last, one + last, one + two + last + one, one + two + last + b"x"):
        with pytest.raises(SnapshotDamaged):
            read(sealer.head + wrong)
    with pytest.raises(SnapshotDamaged):
        read(Sealer(SECRET).head + one + two + last)


def test_another_secret():
    with pytest.raises(SnapshotDamaged) as caught:
        read(seal(b"one"), secret=b"another")
    assert caught.value.reason == "left_state_damaged"
    with pytest.raises(SnapshotDamaged):
        read(b"no such file at all" * 10)


def test_how_long_before_the_end_a_pause_begins():
    assert find_lead_s(None, 1e8, 7200) == LEAST_LEAD_S
    assert find_lead_s(20_000_000_000, 1e8, 7200) == 410
    # Half of a short reservation belongs to the kernel.
    assert find_lead_s(20_000_000_000, 1e8, 60) == 30
