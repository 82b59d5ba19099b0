"""A server or a kernel that is killed in the middle of a transfer; the others lose nothing."""

from __future__ import annotations

import psutil
import pytest

from tests.faults.jupyter_server_process import run, serving
from tests.faults.support import wait_until
from tests.faults.test_pause_killed import find_progress, is_idle, is_over, launch, look_at, phase

BIG_BYTES = 200_000_000
SHOW = "print(x, len(globals().get('big', b'')), globals().get('small'))"

pytestmark = pytest.mark.timeout(180)


def prepare(server):
    """Start two kernels; the first has what the second is to get, and its own ``x``."""
    source, target = launch(server), launch(server)
    run(server, source, f"big = os.urandom({BIG_BYTES}); small = [1, 2]")
    run(server, target, "x = 'mine'")
    return source, target


def transfer(server, source, target):
    body = {"source": source, "target": target, "variables": ["small", "big"]}
    return server.ask("POST", "/api/remote-kernels/transfers", body)


def assert_it_works_now(server, source, target):
    operation = transfer(server, source, target)
    wait_until(lambda: is_over(server, operation), 60)
    assert look_at(server, operation)["state"] == "succeeded"
    assert run(server, target, SHOW) == f"mine {BIG_BYTES} [1, 2]\n"


@pytest.mark.parametrize(
    "least_bytes", [pytest.param(1, marks=pytest.mark.nightly), BIG_BYTES // 2]
)
def test_server(home, least_bytes):
    with serving(home) as server:
        source, target = prepare(server)
        operation = transfer(server, source, target)
        wait_until(lambda: find_progress(server) >= least_bytes or is_over(server, operation))
        server.kill()
    with serving(home, on_server_stop="terminate") as server:
        wait_until(lambda: is_idle(server, source) and is_idle(server, target), 60)
        assert run(server, source, SHOW) == f"42 {BIG_BYTES} [1, 2]\n"
        # All of it or nothing.
        if run(server, target, SHOW) == "mine 0 None\n":
            assert_it_works_now(server, source, target)
        else:
            assert run(server, target, SHOW) == f"mine {BIG_BYTES} [1, 2]\n"
        server.end()


@pytest.mark.parametrize("victim", ["source", "target"])
def test_kernel(home, victim):
    with serving(home, on_server_stop="terminate") as server:
        source, target = prepare(server)
        dying = source if victim == "source" else target
        pid = int(run(server, dying, "print(os.getpid())"))
        operation = transfer(server, source, target)
        wait_until(lambda: find_progress(server) >= 1 or is_over(server, operation))
        psutil.Process(pid).kill()
        wait_until(lambda: is_over(server, operation), 60)
        told = look_at(server, operation)
        if told["state"] != "succeeded":  # else it came too late
            assert told["error"]["reason"] == "kernel_died"
        wait_until(lambda: phase(server, dying) == "running" and is_idle(server, dying), 60)
        if victim == "target":
            assert run(server, source, SHOW) == f"42 {BIG_BYTES} [1, 2]\n"
        else:
            expected = {"failed": "mine 0 None\n", "succeeded": f"mine {BIG_BYTES} [1, 2]\n"}
            assert run(server, target, SHOW) == expected[told["state"]]
        run(server, source, f"import os; x = 42; big = os.urandom({BIG_BYTES}); small = [1, 2]")
        run(server, target, "x = 'mine'; globals().pop('big', 0); globals().pop('small', 0)")
        assert_it_works_now(server, source, target)
        server.end()
