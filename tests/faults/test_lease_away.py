"""A reservation that ends while no server is there: its agent saves, the next server takes over."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.faults.jupyter_server_process import JupyterServer, run, serving
from tests.faults.support import LAUNCHER, wait_until
from tests.faults.test_pause_killed import RUNTIMES, launch, pause, phase

pytestmark = pytest.mark.timeout(120)

LEASE = {"lease_s": 8, "lease_policy": "pause"}


def begin(home, environment="python", **settings):
    """Leave a runtime without its server until its agent has saved it; returns its id."""
    with serving(home, **settings) as server:
        body = {"environment": environment, **LEASE}
        runtime_id = server.ask("POST", RUNTIMES, body)["id"]
        wait_until(lambda: phase(server, runtime_id) == "running", 30)
        run(server, runtime_id, "text = 'nobody else reads this' * 1000\nx = [text]; y = x")
        server.kill()
    wait_until(lambda: not home.processes(), 30)
    return runtime_id


def find_bundle(home):
    (bundle,) = home.runtimes.rglob("state.bundle")
    return bundle


def check(server, runtime_id):
    """See that everything is there again."""
    assert run(server, runtime_id, "print(x == [text], y is x, len(text))") == "True True 22000\n"


def test_saved_beside_the_agent_and_taken_over(home):
    runtime_id = begin(home)
    bundle = find_bundle(home)
    assert bundle.stat().st_mode & 0o077 == 0
    assert b"nobody else" not in bundle.read_bytes()
    # Another process that cleans up leaves it to its server.
    home.start_again()
    # A store that cannot be used is waited for.
    store = home.state / "snapshots"
    store.write_text("in the way of the directory")
    with serving(home) as server:
        wait_until(lambda: "stored" in (look(server, runtime_id)["step"] or ""))
        assert phase(server, runtime_id) == "pausing"
        server.kill()
    store.unlink()
    # A server that is killed on the way leaves it to the next.
    for point in ("manifest:after", "saved:before"):
        # It may get that far before it answers anybody.
        server = JupyterServer(home, str(LAUNCHER), "server", point)
        try:
            assert server.process.wait(timeout=60) == -signal.SIGKILL
        finally:
            server.kill()
    with serving(home, on_server_stop="terminate") as server:
        wait_until(lambda: phase(server, runtime_id) == "paused")
        assert look(server, runtime_id)["exit"] is None
        check(server, runtime_id)
        assert not bundle.exists()
        server.end()


def look(server, runtime_id):
    return server.ask("GET", f"{RUNTIMES}/{runtime_id}")


def test_nobody_asks_for_long_and_somebody_changes_what_is_left(home):
    environment = {"provider": "local", "silence_policy": "pause"}
    settings = {"environments": {"python": environment}, "silence_timeout_s": 2}
    with serving(home, **settings) as server:
        whole, changed = launch(server), launch(server)
        server.kill()
    wait_until(lambda: not home.processes(), 30)
    bundle = home.runtimes / changed / "state.bundle"
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    with serving(home, **settings, on_server_stop="terminate") as server:
        wait_until(lambda: phase(server, whole) == "paused")
        assert run(server, whole, "print(x)") == "42\n"
        wait_until(lambda: phase(server, changed) == "failed")
        cause = look(server, changed)["exit"]
        assert cause["reason"] == "state_lost"
        assert "nobody had contacted it" in cause["message"]
        server.end()


def test_on_another_host(home, host):
    options = {**host.options, "python": sys.executable}
    settings = {"environments": {"box": {"provider": "ssh", "options": options}}}
    runtime_id = begin(home, "box", **settings)
    with serving(home, **settings, on_server_stop="terminate") as server:
        wait_until(lambda: phase(server, runtime_id) == "paused", 60)
        check(server, runtime_id)
        # And once more with the server there, which reads the state through its connection.
        server.ask("PATCH", f"{RUNTIMES}/{runtime_id}", {"lease_s": 600})
        run(server, runtime_id, "import os; big = os.urandom(10_000_000)")
        pause(server, runtime_id)
        wait_until(lambda: not home.processes(), 30)
        assert run(server, runtime_id, "print(len(big))") == "10000000\n"
        check(server, runtime_id)
        server.end()
