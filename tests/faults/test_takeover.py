"""What a server finds that an earlier one has left: running, ended, unreachable, half done."""

from __future__ import annotations

import asyncio
import http.client
import signal
import threading
import time
from contextlib import ExitStack, closing, suppress

import psutil
import pytest

from jupyter_remote_kernels.control import takeover
from jupyter_remote_kernels.control.owners import OwnerLock
from jupyter_remote_kernels.control.registry import AsyncRegistry, Registry
from jupyter_remote_kernels.control.takeover import claim_all
from jupyter_remote_kernels.link.position import LinkPosition
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.phases import Phase
from jupyter_remote_kernels.model.records import KernelCommand, RuntimeRecord
from jupyter_remote_kernels.testing.doubles import QUEUE_VARIABLE, QueueingProvider
from tests.faults.jupyter_server_process import (
    JupyterServer,
    end_all,
    execute,
    run,
    serving,
    wait_for_output,
)
from tests.faults.support import IPYKERNEL, LAUNCHER, wait_until

RUNTIMES = "/api/remote-kernels/runtimes"


def launch(server, **fields: object):
    """Launch a runtime and wait until it runs; returns its id."""
    runtime_id = server.ask("POST", RUNTIMES, {"environment": "python", **fields})["id"]
    wait_until(lambda: find(server, runtime_id)["phase"] == "running")
    return runtime_id


def find(server, runtime_id):
    return server.ask("GET", f"{RUNTIMES}/{runtime_id}")


def list_ids(server):
    return {item["id"] for item in server.ask("GET", RUNTIMES)["runtimes"]}


def leave_one(home, **settings: object):
    """Let a server be killed that had one runtime, with a variable; returns the runtime's id."""
    with serving(home, **settings) as server:
        runtime_id = launch(server)
        run(server, runtime_id, "x = 42")
        server.kill()
    return runtime_id


@pytest.mark.parametrize("step", ["claim", "attach"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_server_that_is_killed_while_it_takes_over(home, step, side):
    with serving(home) as server:
        left = {launch(server), launch(server)}
        for runtime_id in left:
            run(server, runtime_id, "x = 42")
        server.kill()
    server = JupyterServer(home, str(LAUNCHER), "server", f"{step}:{side}")
    assert server.process.wait(timeout=30) == -signal.SIGKILL
    assert len(home.processes()) == 4
    with serving(home, on_server_stop="terminate") as server:
        assert list_ids(server) == left
        assert [run(server, runtime_id, "print(x)") for runtime_id in left] == ["42\n"] * 2
        server.end()


@pytest.mark.parametrize("point", ["starting:after", "charge:before", "running:before"])
def test_launch_goes_on_with_the_next_server(home, point):
    environments = {"python": {"credits_per_hour": 36_000}}
    with serving(home, str(LAUNCHER), "server", point, environments=environments) as server:
        with suppress(ConnectionError, http.client.HTTPException):
            server.ask("POST", RUNTIMES, {"environment": "python"})
        assert server.process.wait(timeout=30) == -signal.SIGKILL
    runtime_id = home.records()[0].id
    with serving(home, environments=environments, on_server_stop="terminate") as server:
        wait_until(lambda: find(server, runtime_id)["phase"] == "running")
        assert run(server, runtime_id, "print(6 * 7)") == "42\n"
        (entry,) = home.ledger()
        assert entry.is_open
        server.end()


@pytest.mark.parametrize("point", ["release:before", "release:after"])
def test_server_that_is_killed_while_it_lets_go(home, point):
    with serving(home, str(LAUNCHER), "server", point) as server:
        runtime_id = launch(server)
        run(server, runtime_id, "x = 42")
        server.process.terminate()
        assert server.process.wait(timeout=30) == -signal.SIGKILL
    with serving(home, on_server_stop="terminate") as server:
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


def test_half_done_launch_is_cleaned_up(home):
    options = {"fail_at": "start:1", "fail_how": "kill"}
    environments = {"python": {"provider": "failing", "options": options}}
    with serving(home, environments=environments) as server:
        with suppress(ConnectionError, http.client.HTTPException):
            server.ask("POST", RUNTIMES, {"environment": "python"})
        assert server.process.wait(timeout=30) == -signal.SIGKILL
    (record,) = home.records()
    assert record.checkpoint is not None
    assert "complete" not in record.checkpoint
    with serving(home) as server:
        assert list_ids(server) == set()
        wait_until(lambda: home.records()[0].phase is Phase.STOPPED)
        server.end()


def test_launch_that_waits_in_a_queue_keeps_its_place(home):
    home.environ[QUEUE_VARIABLE] = str(home.folder / "queue")
    environments = {"python": {"provider": "queueing"}}
    with serving(home, environments=environments) as server:
        runtime_id = server.ask("POST", RUNTIMES, {"environment": "python"})["id"]
        wait_until(lambda: find(server, runtime_id)["engine"]["state"] == "queued")
        server.end()
    with serving(home, environments=environments, on_server_stop="terminate") as server:
        assert find(server, runtime_id)["phase"] == "submitted"
        QueueingProvider(folder=home.folder / "queue").release(f"jrk-{runtime_id}")
        assert run(server, runtime_id, "print(6 * 7)") == "42\n"
        server.end()


def test_job_that_ended_meanwhile_says_so(home):
    runtime_id = leave_one(home)
    processes = [psutil.Process(pid) for pid in home.processes()]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=20)
    # As of a server killed before it had acknowledged anything: no number of the next job's.
    (path,) = home.folder.glob("data/remote_kernels/runtimes/*/link.position")
    position = LinkPosition(path)
    position.finished, position.delivered = 0, 1 << 40
    position.close()
    with serving(home, on_server_stop="terminate") as server:
        wait_until(lambda: find(server, runtime_id)["phase"] == "failed")
        runtime = find(server, runtime_id)
        assert runtime["exit"]["reason"].startswith("job_")
        (kernel,) = server.ask("GET", "/api/kernels")
        assert (kernel["execution_state"], kernel["reason"]) == ("dead", runtime["exit"]["message"])
        # Its variables are gone, so nobody starts it anew without being asked to.
        server.ask("POST", f"/api/kernels/{runtime_id}/restart")
        assert run(server, runtime_id, "print('x' in globals())") == "False\n"
        server.end()


def test_kernel_that_has_died_before_is_still_dead(home):
    # Nobody restarts it, however long it takes until the server is killed.
    with serving(home, autorestart=False) as server:
        runtime_id = launch(server)
        with server.open(runtime_id) as channel:
            execute(channel, "import os; os._exit(3)")
            wait_until(lambda: home.records()[0].exit)
            server.kill()
    with serving(home, on_server_stop="terminate") as server:
        wait_until(lambda: find(server, runtime_id)["reachability"]["state"] == "ok")
        runtime = find(server, runtime_id)
        assert (runtime["phase"], runtime["execution_state"]) == ("running", "dead")
        assert (runtime["exit"]["reason"], runtime["exit"]["code"]) == ("exited", 3)
        server.ask("POST", f"/api/kernels/{runtime_id}/restart")
        assert run(server, runtime_id, "print(6 * 7)") == "42\n"
        assert find(server, runtime_id)["exit"] is None
        server.end()


def test_agent_that_does_not_answer_is_unreachable_and_not_gone(home):
    runtime_id = leave_one(home)
    agent = psutil.Process(home.records()[0].checkpoint["pid"])
    agent.suspend()
    try:
        with serving(home, on_server_stop="terminate") as server:
            runtime = find(server, runtime_id)
            assert (runtime["phase"], runtime["execution_state"]) == ("running", "unknown")
            assert runtime["reachability"]["state"] == "unknown"
            agent.resume()
            wait_until(lambda: find(server, runtime_id)["reachability"]["state"] == "ok")
            assert run(server, runtime_id, "print(x)") == "42\n"
            server.end()
    finally:
        agent.is_running() and agent.resume()


def test_kernel_whose_environment_is_not_there_any_more(home):
    runtime_id = leave_one(home, environments={"python": {}})
    with serving(home, environments={"other": {}}, on_server_stop="terminate") as server:
        assert run(server, runtime_id, "print(x)") == "42\n"
        assert server.ask("GET", "/api/kernels")[0]["name"] == "remote-python"
        server.ask("POST", f"/api/kernels/{runtime_id}/restart")
        assert run(server, runtime_id, "print('x' in globals())") == "False\n"
        server.end()


def test_kernel_of_a_kernelspec_of_the_users_own(home):
    home.add_kernelspec("mine", IPYKERNEL, provider="local")
    with serving(home) as server:
        runtime_id = server.ask("POST", "/api/kernels", {"name": "mine"})["id"]
        run(server, runtime_id, "x = 42")
        server.kill()
    with serving(home, on_server_stop="terminate") as server:
        assert server.ask("GET", "/api/kernels")[0]["name"] == "mine"
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


def test_charges_reservation_and_token_go_on(home):
    environments = {"python": {"credits_per_hour": 36_000}}
    with serving(home, environments=environments) as server:
        runtime_id = launch(server, lease_s=600, client_token="mine")
        before = find(server, runtime_id)
        server.end()
    time.sleep(1)  # what is charged while no server is there
    with serving(home, environments=environments) as server:
        wait_until(lambda: find(server, runtime_id)["reachability"]["state"] == "ok")
        after = find(server, runtime_id)
        assert after["expires_at"][:18] == before["expires_at"][:18]
        body = {"environment": "python", "client_token": "mine"}
        assert server.ask("POST", RUNTIMES, body)["id"] == runtime_id
        server.ask("DELETE", f"{RUNTIMES}/{runtime_id}")
        server.end()
    (entry,) = home.ledger()
    (record,) = home.records()
    assert not entry.is_open
    assert abs(entry.seconds - (record.ended_s - entry.started_s)) < 0.5


def test_servers_of_other_places_leave_each_other_alone(home):
    first_port = home.port
    with serving(home) as first, ExitStack() as later:
        home.use_other_port()
        second = later.enter_context(serving(home))
        mine, yours = launch(first), launch(second)
        first.end()
        second.kill()
        with serving(home) as third:
            assert list_ids(third) == {yours}
            third.end()
    home.port = first_port
    with serving(home, on_server_stop="terminate") as fourth:
        assert list_ids(fourth) == {mine}
        fourth.end()
    home.use_other_port()
    assert [record.phase for record in home.records()] == [Phase.STOPPED, Phase.RUNNING]
    home.end_left()


def test_taken_back_runtimes_are_terminated_without_a_server(home):
    with serving(home) as server:
        launch(server)
        server.end()
    home.end_left()
    (record,) = home.records()
    assert (record.phase, record.exit) == (Phase.STOPPED, None)
    with serving(home) as server:
        assert list_ids(server) == set()
        server.end()


def test_server_that_is_shut_down_over_rest_leaves_its_kernels(home):
    with serving(home) as server:
        runtime_id = launch(server)
        with server.open(runtime_id) as channel:
            cell = execute(channel, "print('on', flush=True)\nwhile True: pass")
            wait_for_output(channel, cell, "stream")
            server.ask("POST", "/api/shutdown")
            assert server.process.wait(timeout=30) == 0
    assert "1 runtime will go on without this server" in home.server_log()
    with serving(home) as server:
        wait_until(lambda: find(server, runtime_id)["reachability"]["state"] == "ok")
        # Its loop goes on, and the new server knows from the first moment on.
        (kernel,) = server.ask("GET", "/api/kernels")
        assert kernel["execution_state"] == "busy"
        server.ask("POST", f"/api/kernels/{runtime_id}/interrupt")
        wait_until(lambda: find(server, runtime_id)["execution_state"] == "idle")
        server.end()
    assert len(home.processes()) == 2
    end_all(home)


def test_interrupted_server_leaves_its_kernels_too(home):
    with serving(home) as server:
        runtime_id = launch(server)
        run(server, runtime_id, "x = 42")
        # Without a terminal, nobody is asked and Jupyter does not clean up.
        server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=30)
    with serving(home, on_server_stop="terminate") as server:
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


def make_record(number, owner):
    return RuntimeRecord(
        id=f"r{number}",
        name="one",
        environment=Environment("env", "Env", provider="local"),
        command=KernelCommand(("kernel",)),
        token="secret",
        phase=Phase.RUNNING,
        owner=owner,
        checkpoint={"complete": True},
        server="here",
    )


@pytest.fixture
def left(tmp_path):
    """Twenty records of a server that is gone, with their state directory and their owner."""
    state = tmp_path / "state"
    lock = OwnerLock.acquire(state)
    with closing(Registry(state / "registry.sqlite3")) as registry:
        for number in range(20):
            registry.insert(make_record(number, lock.owner))
    return state, lock


def take_over(state, count):
    """Let several servers of one place take over at once; returns what each has got."""

    locks = [OwnerLock.acquire(state) for _ in range(count)]

    async def one(lock):
        registry = await AsyncRegistry.open(state / "registry.sqlite3")
        claimed = await claim_all(registry, state, lock.owner, "here")
        await registry.close()
        return [item.id for item in claimed]

    async def all_of_them():
        return await asyncio.gather(*map(one, locks))

    try:
        return asyncio.run(all_of_them())
    finally:
        for lock in locks:
            lock.release()


def test_every_runtime_goes_to_one_of_several_servers(left, monkeypatch):
    # Who has got less than all would wait for the others to end.
    monkeypatch.setattr(takeover, "_LEAVING_LIMIT_S", 0.5)
    state, lock = left
    lock.release()
    claimed = take_over(state, 4)
    assert sorted(name for names in claimed for name in names) == sorted(
        f"r{number}" for number in range(20)
    )


def test_server_that_is_just_ending_is_waited_for(left):
    state, lock = left
    threading.Timer(0.3, lock.release).start()
    (claimed,) = take_over(state, 1)
    assert len(claimed) == 20
