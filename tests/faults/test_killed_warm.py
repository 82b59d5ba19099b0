"""A server with warm kernels is killed: the next one ends them, and so do they by themselves."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing, suppress

import psutil
import pytest

from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.phases import FINAL_PHASES
from jupyter_remote_kernels.providers.processes import LABEL_VARIABLE
from tests.faults.jupyter_server_process import execute, serving, wait_for_output
from tests.faults.support import wait_until

WARM = {"python": {"warm": 2}}
COLD = {"python": {}}


def list_warm(home):
    with closing(Registry(home.state / "registry.sqlite3")) as registry:
        return registry.warm.list()


def is_full(home):
    """Tell whether both warm jobs have their agent and their kernel."""
    return len(home.processes()) == 4 and all(job.checkpoint for job in list_warm(home))


def clean_up(home):
    """Start a server that keeps nothing warm, and end it; nothing may be left."""
    with serving(home, environments=COLD, on_server_stop="terminate") as server:
        wait_until(lambda: not list_warm(home))
        server.end()
    assert not home.processes()
    assert all(item.phase in FINAL_PHASES for item in home.records())


def test_next_server_ends_what_a_killed_one_kept_warm(home):
    with serving(home, environments=WARM) as server:
        wait_until(lambda: is_full(home))
        kernel_id = server.ask("POST", "/api/kernels", {"name": "remote-python"})["id"]
        with server.open(kernel_id) as channel:
            wait_for_output(channel, execute(channel, "6 * 7"), "execute_reply")
        (record,) = home.records()
        assert record.job_id is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    assert len(home.processes()) >= 4
    clean_up(home)
    assert [item.phase.value for item in home.records()] == ["stopped"]


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_server_that_is_killed_while_it_makes_them(home, delay_s):
    with serving(home, environments=WARM) as server:
        # Wherever it is by then: no moment may leave something that is not found again.
        wait_until(lambda: list_warm(home))
        time.sleep(delay_s)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    clean_up(home)


def test_they_end_by_themselves_without_their_server(home):
    with serving(home, environments=WARM, silence_timeout_s=0.5) as server:
        wait_until(lambda: is_full(home))
        processes = [psutil.Process(pid) for pid in home.processes()]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    clean_up(home)


def count_unlabelled(server):
    """Return how many processes below a server are of no job: its nurseries."""
    count = 0
    for process in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            count += LABEL_VARIABLE not in process.environ()
    return count


def test_a_stopping_server_ends_them_and_its_nursery(home):
    with serving(home, environments=WARM) as server:
        wait_until(lambda: is_full(home))
        # What is about to become something else has no label yet.
        wait_until(lambda: count_unlabelled(server) == 1)
        below = psutil.Process(server.process.pid).children(recursive=True)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
    assert list_warm(home) == []
