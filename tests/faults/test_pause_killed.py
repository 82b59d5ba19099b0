"""A server that is killed at every step of a pause and a resume; nothing is lost at any of them."""

from __future__ import annotations

import http.client
import signal
from contextlib import suppress

import psutil
import pytest

from tests.faults.jupyter_server_process import execute, run, serving
from tests.faults.support import LAUNCHER, wait_until

RUNTIMES = "/api/remote-kernels/runtimes"
ENVIRONMENTS = "/api/remote-kernels/environments"
PAUSE = [
    f"{step}:{side}"
    for step in ("pausing", "manifest", "saved", "paused")
    for side in ("before", "after")
]
# Until the record names the snapshot, the kernel is what there is.
STILL_RUNNING = PAUSE[: PAUSE.index("saved:after")]
# The second job of a runtime: its first has had two checkpoints.
RESUME = [
    f"{step}:{side}"
    for step in ("resuming", "checkpoint3", "checkpoint4", "running2")
    for side in ("before", "after")
]

MOVE = [*PAUSE, *RESUME]

# One of each side of what is committed; the others are tried at night.
OFTEN = {
    *("manifest:after", "saved:before", "saved:after", "paused:before"),
    *("resuming:after", "checkpoint4:after", "running2:before", "running2:after"),
}

# A move is a pause and a resume, and in between it belongs to the other environment.
OFTEN_MOVING = {"saved:after", "checkpoint4:after"}

pytestmark = pytest.mark.timeout(180)


def mark(points, often):
    return [
        pytest.param(point, marks=() if point in often else pytest.mark.nightly) for point in points
    ]


def launch(server):
    runtime_id = server.ask("POST", RUNTIMES, {"environment": "python"})["id"]
    wait_until(lambda: phase(server, runtime_id) == "running")
    run(server, runtime_id, "x = 42; import os")
    return runtime_id


def phase(server, runtime_id):
    return server.ask("GET", f"{RUNTIMES}/{runtime_id}")["phase"]


def pause(server, runtime_id):
    server.ask("POST", f"{RUNTIMES}/{runtime_id}/pause", {})
    wait_until(lambda: phase(server, runtime_id) == "paused")


def ask_and_die(server, path, body=None):
    """Ask for what the server does not survive."""
    with suppress(ConnectionError, http.client.HTTPException):
        server.ask("POST", path, body or {})
    assert server.process.wait(timeout=30) == -signal.SIGKILL


@pytest.mark.parametrize("point", mark(PAUSE, OFTEN))
def test_while_it_pauses(home, point):
    with serving(home, str(LAUNCHER), "server", point) as server:
        runtime_id = launch(server)
        pid = run(server, runtime_id, "print(os.getpid())")
        ask_and_die(server, f"{RUNTIMES}/{runtime_id}/pause")
    with serving(home, on_server_stop="terminate") as server:
        if point not in STILL_RUNNING:
            wait_until(lambda: phase(server, runtime_id) == "paused")
            wait_until(lambda: not home.processes())
        # Either way nobody sees a difference but the process.
        assert run(server, runtime_id, "print(x)") == "42\n"
        is_same = run(server, runtime_id, "print(os.getpid())") == pid
        assert is_same == (point in STILL_RUNNING)
        server.end()


@pytest.mark.parametrize("point", mark(RESUME, OFTEN))
def test_while_it_resumes(home, point):
    with serving(home, str(LAUNCHER), "server", point) as server:
        runtime_id = launch(server)
        pause(server, runtime_id)
        ask_and_die(server, f"{RUNTIMES}/{runtime_id}/resume")
    with serving(home, on_server_stop="terminate") as server:
        expected = "running" if point == "running2:after" else "paused"
        wait_until(lambda: phase(server, runtime_id) == expected)
        assert run(server, runtime_id, "print(x)") == "42\n"
        # What the killed server had begun to start is gone.
        assert len(home.processes()) == 2
        server.end()


@pytest.mark.parametrize("point", mark(MOVE, OFTEN_MOVING))
def test_while_it_moves(home, point):
    with serving(home, str(LAUNCHER), "server", point) as server:
        server.ask("PUT", f"{ENVIRONMENTS}/other", {"provider": "local"})
        runtime_id = launch(server)
        pid = run(server, runtime_id, "print(os.getpid())")
        ask_and_die(server, f"{RUNTIMES}/{runtime_id}/move", {"environment": "other"})
    with serving(home, on_server_stop="terminate") as server:
        runtime = server.ask("GET", f"{RUNTIMES}/{runtime_id}")
        # It belongs to one of the two, and whoever uses it next finds everything.
        assert runtime["environment"] in ("python", "other")
        if point in STILL_RUNNING:
            assert runtime["environment"] == "python"
        assert run(server, runtime_id, "print(x)") == "42\n"
        assert (run(server, runtime_id, "print(os.getpid())") == pid) == (point in STILL_RUNNING)
        assert len(home.processes()) == 2
        # And what did not come about can be done now.
        other = {"python": "other", "other": "python"}[runtime["environment"]]
        path = f"{RUNTIMES}/{runtime_id}/move"
        operation = server.ask("POST", path, {"environment": other})
        wait_until(lambda: is_over(server, operation), 60)
        assert look_at(server, operation)["state"] == "succeeded"
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_paused_runtime_outlives_its_server(home, is_killed):
    with serving(home) as server:
        runtime_id = launch(server)
        pause(server, runtime_id)
        wait_until(lambda: not home.processes())
        if is_killed:
            server.kill()
        else:
            server.end()
    with serving(home, on_server_stop="terminate") as server:
        assert phase(server, runtime_id) == "paused"
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


def test_a_resume_is_called_off_by_the_end_of_its_server(home):
    with serving(home) as server:
        runtime_id = launch(server)
        pause(server, runtime_id)
        server.ask("POST", f"{RUNTIMES}/{runtime_id}/resume", {})
        server.end()
    with serving(home, on_server_stop="terminate") as server:
        assert phase(server, runtime_id) in ("paused", "running")
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


def test_a_pause_is_called_off_by_the_end_of_its_server(home):
    with serving(home) as server:
        runtime_id = launch(server)
        with server.open(runtime_id) as channel:
            execute(channel, "import time; time.sleep(4); y = x + 1")
            wait_until(lambda: is_busy(server, runtime_id))
            server.ask("POST", f"{RUNTIMES}/{runtime_id}/pause", {})
            wait_until(lambda: phase(server, runtime_id) == "pausing")
            server.end()
    with serving(home, on_server_stop="terminate") as server:
        assert run(server, runtime_id, "print(x, y)") == "42 43\n"
        assert phase(server, runtime_id) == "running"
        server.end()


def is_busy(server, runtime_id):
    return server.ask("GET", f"{RUNTIMES}/{runtime_id}")["execution_state"] == "busy"


@pytest.mark.parametrize(
    "victim, moment", [("agent", "begun"), ("kernel", "begun"), ("kernel", "half")]
)
def test_a_kernel_or_agent_that_is_killed_while_its_state_is_saved(home, victim, moment):
    with serving(home, on_server_stop="terminate") as server:
        runtime_id = launch(server)
        earlier = server.ask("POST", f"{RUNTIMES}/{runtime_id}/snapshots", {"name": "earlier"})
        wait_until(lambda: look_at(server, earlier)["state"] == "succeeded")
        # Something that takes a while to be saved.
        run(server, runtime_id, "big = os.urandom(300_000_000)")
        kernel = int(run(server, runtime_id, "print(os.getpid())"))
        agent = next(pid for pid in home.processes() if pid != kernel)
        operation = server.ask("POST", f"{RUNTIMES}/{runtime_id}/pause", {})
        least = 1 if moment == "begun" else 150_000_000
        wait_until(lambda: find_progress(server) >= least or is_over(server, operation))
        psutil.Process(kernel if victim == "kernel" else agent).kill()
        wait_until(lambda: is_over(server, operation))
        # An agent that is gone is found out with the engine, which takes a moment.
        gone = "failed" if victim == "agent" else "running"
        wait_until(lambda: phase(server, runtime_id) in (gone, "paused"))
        if phase(server, runtime_id) == "paused":  # it came too late
            assert run(server, runtime_id, "print(x, len(big))") == "42 300000000\n"
        else:
            # Nothing could save what only that process had; who waits is told, and nothing is half.
            assert look_at(server, operation)["error"]["reason"]
            assert [item["name"] for item in list_snapshots(server)] == ["earlier"]
            assert_it_goes_on(server, runtime_id)
        assert not [*(home.state / "snapshots").rglob("*.tmp")]
        server.end()


def assert_it_goes_on(server, runtime_id):
    """See that the kernel can be used, and that the snapshot before has everything of its time."""
    if phase(server, runtime_id) == "failed":
        assert server.ask("GET", f"{RUNTIMES}/{runtime_id}")["exit"]["message"]
        server.ask("POST", f"{RUNTIMES}/{runtime_id}/restart", {})
    wait_until(lambda: is_idle(server, runtime_id), 60)
    (snapshot,) = list_snapshots(server)
    body = {"runtime_id": runtime_id, "on_conflict": "replace"}
    path = f"/api/remote-kernels/snapshots/{snapshot['id']}/restore"
    operation = server.ask("POST", path, body)
    wait_until(lambda: look_at(server, operation)["state"] == "succeeded")
    assert run(server, runtime_id, "print(x)") == "42\n"


def is_idle(server, runtime_id):
    runtime = server.ask("GET", f"{RUNTIMES}/{runtime_id}")
    return (runtime["phase"], runtime["execution_state"]) == ("running", "idle")


def list_snapshots(server):
    return server.ask("GET", "/api/remote-kernels/snapshots")["snapshots"]


def look_at(server, operation):
    return server.ask("GET", f"/api/remote-kernels/operations/{operation['id']}")


def is_over(server, operation):
    return look_at(server, operation)["state"] != "running"


def find_progress(server):
    operations = server.ask("GET", "/api/remote-kernels/operations")["operations"]
    return max((item["done_bytes"] or 0 for item in operations), default=0)


@pytest.mark.parametrize("victim", ["agent", "kernel"])
def test_a_kernel_or_agent_that_is_killed_while_it_gets_its_state_back(home, victim):
    with serving(home, on_server_stop="terminate") as server:
        runtime_id = launch(server)
        run(server, runtime_id, "big = [os.urandom(1000) for _ in range(100_000)]")
        pause(server, runtime_id)
        wait_until(lambda: not home.processes())
        server.ask("POST", f"{RUNTIMES}/{runtime_id}/resume", {})
        wait_until(lambda: len(home.processes()) == 2)
        agent, kernel = sorted(home.processes())
        psutil.Process(kernel if victim == "kernel" else agent).kill()
        wait_until(lambda: phase(server, runtime_id) == "paused", 60)
        with server.open(runtime_id) as channel:
            execute(channel, "pass")  # wakes it again
        wait_until(lambda: phase(server, runtime_id) == "running", 60)
        assert run(server, runtime_id, "print(x, len(big))") == "42 100000\n"
        server.end()
