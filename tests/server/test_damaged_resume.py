"""A snapshot that was damaged while its runtime was paused: what is whole comes back."""

from __future__ import annotations

import hashlib

import pytest

from tests.server.test_pause import follow, pause, phase, resume

__all__ = ["follow", "pause", "phase", "resume"]

pytestmark = pytest.mark.timeout(120)

DAMAGED = "Damaged in the snapshot store."


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    rewrite(path, content)


def rewrite(path, content):
    path.chmod(0o600)
    path.write_bytes(content)


def find_pack(state):
    """Return the pack that was written last."""
    return max((state / "snapshots").rglob("*.pack"), key=lambda path: path.stat().st_mtime_ns)


WAYS = [
    # What the kernel maps, and so finds damaged itself; then what the server reads.
    (lambda pack, content, big, small: flip(pack, content.index(big) + 1_500_000), ["big"]),
    (lambda pack, content, big, small: flip(pack, content.index(small) + 5), ["small"]),
    (lambda pack, content, big, small: rewrite(pack, content[: content.index(big) + 10]), None),
    (lambda pack, content, big, small: pack.unlink(), None),
]


async def test_only_what_is_damaged_is_lost(
    api, launch, pause, resume, open_browser, jp_data_dir, phase
):
    state = jp_data_dir / "remote_kernels"
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    make = "import os; big = os.urandom(3_000_000); small = os.urandom(900_000); x = [1, 2]"
    look = "print(x, *(name in globals() for name in ('big', 'small')), len(In) > 1)"
    for damage, expected in WAYS:
        await browser.execute(make)
        big, small = [
            bytes.fromhex((await browser.execute(f"print({name}[:40].hex())")).text)
            for name in ("big", "small")
        ]
        await pause(runtime_id)
        pack = find_pack(state)
        damage(pack, pack.read_bytes(), big, small)
        told = await resume(runtime_id)
        lost = {item["name"]: item["reason"] for item in told["lost"]}
        assert await phase(runtime_id) == "running"
        assert "big" in lost or "small" in lost
        assert set(lost.values()) == {DAMAGED}
        if expected is not None:
            assert sorted(lost) == expected
            there = [str(name not in lost) for name in ("big", "small")]
            assert (await browser.execute(look)).text == f"[1, 2] {' '.join(there)} True\n"


async def test_what_is_lost_and_made_again_is_saved_again(
    launch, pause, resume, open_browser, jp_data_dir
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    make = "import hashlib; big = hashlib.shake_128(b'x').digest(3_000_000)"
    await browser.execute(make)
    await pause(runtime_id)
    pack = find_pack(jp_data_dir / "remote_kernels")
    part = hashlib.shake_128(b"x").digest(3_000_000)[1_500_000:1_500_040]
    flip(pack, pack.read_bytes().index(part))
    assert [item["name"] for item in (await resume(runtime_id))["lost"]] == ["big"]
    await browser.execute(make)
    await pause(runtime_id)
    assert (await resume(runtime_id))["lost"] == []
    assert (await browser.execute("print(len(big))")).text == "3000000\n"
    # A cell that wakes the kernel says itself what is lost.
    await pause(runtime_id)
    pack = max(
        (jp_data_dir / "remote_kernels").rglob("*.pack"), key=lambda p: part in p.read_bytes()
    )
    flip(pack, pack.read_bytes().index(part))
    outcome = await browser.execute("print('big' in globals())")
    assert outcome.text == f"big was not restored: {DAMAGED}\nFalse\n"
