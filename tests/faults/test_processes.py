"""Several processes over one state directory, forked ones, and every way in which one ends."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

import psutil
import pytest

from jupyter_remote_kernels.control.launch import ControlSettings
from jupyter_remote_kernels.control.plane import ControlPlane
from jupyter_remote_kernels.errors import RegistryError
from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase
from tests.faults.support import LIMIT_S, tell
from tests.server.processes import labelled_processes


@pytest.fixture
def tiny(home):
    home.add_kernelspec("tiny", provider="local")


def processes_of(home, kernel_id):
    """Return the processes of one runtime."""
    return labelled_processes(home.data, f"jrk-{kernel_id}")


# -- two at once --------------------------------------------------------------


def test_two_processes_leave_each_others_runtimes_alone(home, tiny):
    with (
        home.running("launch", "never", "tiny") as (first, first_id),
        home.running("launch", "never", "tiny") as (second, second_id),
    ):
        before = processes_of(home, first_id)
        assert len(before) == 2
        second.kill()
        second.wait(timeout=20)
        # A third one comes, sweeps up after the second, and spares the first.
        home.start_again()
        assert processes_of(home, second_id) == {}
        assert processes_of(home, first_id) == before
        phases = {record.id: record.phase for record in home.records()}
        assert phases == {first_id: Phase.RUNNING, second_id: Phase.STOPPED}
        output, errors = first.communicate("shutdown\n", timeout=60)
        assert first.returncode == 0, (output, errors)
    assert all(record.phase in FINAL_PHASES for record in home.records())


def test_the_end_of_one_process_ends_its_own_runtimes_only(home, tiny):
    with (
        home.running("launch", "never", "tiny") as (first, first_id),
        home.running("launch", "never", "tiny") as (second, second_id),
    ):
        before = processes_of(home, first_id)
        second.communicate("end without shutdown\n", timeout=60)
        assert second.returncode == 0
        assert processes_of(home, second_id) == {}
        assert processes_of(home, first_id) == before
        first.communicate("shutdown\n", timeout=60)


# -- the end of a process -----------------------------------------------------


def test_process_that_ends_without_shutdown(home, tiny):
    with home.running("launch", "never", "tiny") as (process, _):
        _, errors = process.communicate("end without shutdown\n", timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert [record.phase for record in home.records()] == [Phase.STOPPED]


def test_process_that_ends_with_an_error(home, tiny):
    with home.running("launch", "never", "tiny") as (process, _):
        _, errors = process.communicate("raise\n", timeout=60)
    assert process.returncode == 1
    assert errors.strip().endswith("RuntimeError: told to")
    assert [record.phase for record in home.records()] == [Phase.STOPPED]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_process_that_is_ended_by_a_signal(home, tiny, signum):
    # Python has no time for anything then: the next start cleans up.
    with home.running("launch", "never", "tiny") as (process, _):
        process.send_signal(signum)
        process.communicate(timeout=60)
    assert process.returncode == -signum
    home.start_again()


def test_process_that_is_interrupted(home, tiny):
    with home.running("launch", "never", "tiny") as (process, _):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert [record.phase for record in home.records()] == [Phase.STOPPED]


def test_forked_child_does_not_end_its_parents_runtimes(home, tiny):
    with home.running("launch", "never", "tiny") as (process, kernel_id):
        before = processes_of(home, kernel_id)
        tell(process, "fork")
        assert process.stdout.readline() == "child 0\n"
        assert process.stdout.readline() == "alive True\n"
        assert processes_of(home, kernel_id) == before
        assert [record.phase for record in home.records()] == [Phase.RUNNING]
        _, errors = process.communicate("\n", timeout=60)
        assert (process.returncode, errors) == (0, "")


def test_forked_child_does_not_keep_a_dead_parents_runtimes(home, tiny):
    with home.running("launch", "never", "tiny") as (process, _):
        tell(process, "fork and stay")
        word, child = process.stdout.readline().split()
        assert word == "child"
        process.kill()
        process.wait(timeout=20)
        try:
            # The child lives on, but it drives nothing.
            home.start_again()
            assert home.processes() == {}
        finally:
            os.kill(int(child), signal.SIGKILL)


# -- nothing left in a process ------------------------------------------------


class Inventory:
    """What this process holds: threads, descriptors, children."""

    def __init__(self):
        gc.collect()
        self.threads = sorted(thread.name for thread in threading.enumerate())
        self.descriptors = sorted(
            filter(None, (_describe(name) for name in os.listdir("/proc/self/fd")))
        )
        self.children = sorted(child.pid for child in psutil.Process().children())

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __hash__(self):
        return 0

    def __repr__(self):
        return repr(vars(self))


def _describe(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").partition(":")[0]
    except FileNotFoundError:
        return None  # the one that lists them


def test_nothing_grows_over_many_runtimes(home, plane, launch):
    descriptors, threads = [], []
    for _ in range(20):
        runtime = launch()
        runtime.settle()
        runtime.stop()
        runtime.client.stop_channels()
        runtime.client.context.destroy(linger=0)
        descriptors.append(len(os.listdir("/proc/self/fd")))
        # The loop's pool makes its few threads when it first needs them.
        names = [thread.name for thread in threading.enumerate()]
        threads.append(len([name for name in names if not name.startswith("asyncio_")]))
    # The least of several: closed sockets linger for a moment. The first rounds open what stays.
    for counts in (descriptors, threads):
        assert min(counts[15:]) <= min(counts[5:10]), counts
    assert plane.services.drivers == {}
    assert not plane.services._waiters
    expected = {"sweep", "poll local", "registry", "mark the ledger", "look for idle runtimes"}
    assert plane.submit(_tasks(plane)).result(LIMIT_S) <= expected


async def _tasks(plane):
    return {task.get_name() for task in plane.background._tasks}


def test_close_ends_five_running_runtimes_quickly_and_leaves_nothing(home, monkeypatch, request):
    before = Inventory()
    plane = request.getfixturevalue("plane")
    launch = request.getfixturevalue("launch")
    runtimes = [launch() for _ in range(5)]
    for runtime in runtimes:
        runtime.settle()
        runtime.client.stop_channels()
        runtime.client.context.destroy(linger=0)
    started_s = time.monotonic()
    plane.close()
    assert time.monotonic() - started_s < 5.0
    assert home.leftovers() == {}
    assert {runtime.phase for runtime in runtimes} == {Phase.STOPPED}
    assert Inventory() == before
    plane.close()


def test_close_of_a_plane_that_did_nothing(home):
    before = Inventory()
    plane = ControlPlane(home.state, ControlSettings())
    plane.close()
    assert Inventory() == before


def test_close_while_runtimes_are_coming_up(home, plane, launch):
    for _ in range(3):
        launch()
    plane.close()
    assert home.leftovers() == {}


def test_plane_that_cannot_open_its_registry_leaves_nothing(home):
    home.state.mkdir(mode=0o700)
    (home.state / "registry.sqlite3").write_text("this is no database, but a note to myself")
    before = Inventory()
    for _ in range(3):
        with pytest.raises(RegistryError):
            ControlPlane(home.state, ControlSettings())
    assert Inventory() == before
    (home.state / "registry.sqlite3").unlink()
