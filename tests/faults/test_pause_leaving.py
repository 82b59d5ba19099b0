"""A server that pauses its runtimes at its end."""

from __future__ import annotations

import pytest

from tests.faults.jupyter_server_process import execute, run, serving
from tests.faults.support import wait_until
from tests.faults.test_pause_killed import is_busy, launch, phase

pytestmark = pytest.mark.timeout(120)


def test_idle_runtimes_are_paused_and_busy_ones_go_on(home):
    go_on = home.folder / "go on"
    with serving(home, on_server_stop="pause", pause_limit_s=6) as server:
        idle, busy = launch(server), launch(server)
        with server.open(busy) as channel:
            loop = f"while not os.path.exists({str(go_on)!r}): time.sleep(0.05)"
            execute(channel, f"import time\n{loop}\ny = x + 1")
            wait_until(lambda: is_busy(server, busy))
            server.end()
    # One of them has given its machine back, the other has not noticed anything.
    assert len(home.processes()) == 2
    assert [record.phase.value for record in home.records() if record.id == idle] == ["paused"]
    with serving(home, on_server_stop="terminate") as server:
        assert phase(server, idle) == "paused"
        assert run(server, idle, "print(x)") == "42\n"
        go_on.touch()
        assert run(server, busy, "print(x, y)") == "42 43\n"
        assert phase(server, busy) == "running"
        server.end()
