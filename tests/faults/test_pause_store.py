"""The store of the snapshots is full, away, or another one: a kernel or its snapshot, always."""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest

from tests.engines.tools import call, require_root
from tests.faults.jupyter_server_process import execute, run, serving, wait_for_output
from tests.faults.support import wait_until
from tests.faults.test_pause_killed import RUNTIMES, is_over, launch, look_at, pause, phase

pytestmark = pytest.mark.timeout(120)

DISK_BYTES = 16 * 2**20


def ask_in_vain(server, runtime_id, what):
    """Ask for a pause or a resume that fails; returns the problem."""
    operation = server.ask("POST", f"{RUNTIMES}/{runtime_id}/{what}", {})
    wait_until(lambda: is_over(server, operation), 60)
    told = look_at(server, operation)
    assert told["state"] == "failed"
    return told["error"]


@pytest.fixture
def small_store(home):
    """Snapshots lie on a disk with room for next to nothing."""
    require_root()
    store = home.state / "snapshots"
    store.mkdir(parents=True, mode=0o700)
    call("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(store))
    yield store
    if os.path.ismount(store):  # a test may have made room so
        call("umount", "-l", str(store))


def test_the_disk_is_full(home, small_store):
    with serving(home, on_server_stop="terminate") as server:
        runtime_id = launch(server)
        run(server, runtime_id, "big = os.urandom(30_000_000)")
        problem = ask_in_vain(server, runtime_id, "pause")
        assert problem["reason"] == "store_full"
        assert problem["detail"]
        assert phase(server, runtime_id) == "running"
        assert run(server, runtime_id, "print(x, len(big))") == "42 30000000\n"
        # What was written of it is gone again.
        assert not [*small_store.rglob("*.pack"), *small_store.rglob("*.json")]
        # At the end of its reservation the agent saves what the server cannot.
        runtime = look(server, runtime_id)
        age_s = time.time() - datetime.fromisoformat(runtime["created_at"]).timestamp()
        body = {"lease_s": age_s + 4, "lease_policy": "pause"}
        server.ask("PATCH", f"{RUNTIMES}/{runtime_id}", body)
        wait_until(lambda: "is full" in (look(server, runtime_id)["step"] or ""), 30)
        assert phase(server, runtime_id) == "pausing"
        call("umount", "-l", str(small_store))
        wait_until(lambda: phase(server, runtime_id) == "paused", 30)
        assert run(server, runtime_id, "print(x, len(big))") == "42 30000000\n"
        server.end()


def look(server, runtime_id):
    return server.ask("GET", f"{RUNTIMES}/{runtime_id}")


def test_the_store_is_away(home):
    store, aside = home.state / "snapshots", home.state / "aside"
    key = home.state / "snapshots.key"
    with serving(home) as server:
        runtime_id = launch(server)
        store.write_text("in the way of the directory")
        assert ask_in_vain(server, runtime_id, "pause")["reason"] == "store_unavailable"
        assert phase(server, runtime_id) == "running"
        assert run(server, runtime_id, "print(x)") == "42\n"
        store.unlink()
        pause(server, runtime_id)
        store.rename(aside)
        store.write_text("in the way of the directory")
        assert ask_in_vain(server, runtime_id, "resume")["reason"] == "store_unavailable"
        assert phase(server, runtime_id) == "paused"
        store.unlink()
        aside.rename(store)
        server.end()
    # The same with another key, which opens nothing.
    secret = key.read_bytes()
    key.write_bytes(bytes(32))
    with serving(home) as server:
        assert ask_in_vain(server, runtime_id, "resume")["reason"] == "snapshot_untrusted"
        with server.open(runtime_id) as channel:
            reply = wait_for_output(channel, execute(channel, "print(x)"), "execute_reply")
        assert reply["status"] == "error"
        assert phase(server, runtime_id) == "paused"
        server.end()
    key.write_bytes(secret)
    with serving(home, on_server_stop="terminate") as server:
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()
