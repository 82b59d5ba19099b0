"""Nurseries: who is forked from them, and what happens when one is missing, hangs or dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jupyter_remote_kernels.agent import nursery_title
from jupyter_remote_kernels.model.environments import Environment, Resources
from jupyter_remote_kernels.protocol.nursery import ROOM, ROOM_VARIABLE, list_early
from jupyter_remote_kernels.providers import nursery as nurseries
from jupyter_remote_kernels.providers.base import JobState
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.processes import is_alive, look_at, read_processes
from tests.contract.job_kernels import (
    LAUNCHER,
    JobKernel,
    is_forked,
    list_nurseries,
    nursery_provider,
    prepare_nursery,
    start_kernel,
    until,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def provider():
    with nursery_provider() as made:
        yield made


@pytest.fixture
def start(provider):
    made = []

    def launch(**options):
        made.append(start_kernel(provider, **options))
        return made[-1]

    yield launch
    for kernel in made:
        kernel.stop()


def parent_of(kernel):
    return look_at(kernel.kernel_pid).parent_pid


def command_of(pid):
    return [part for part in psutil.Process(pid).cmdline() if part]


class TestChoice:
    def test_agent_and_kernel_are_forked(self, provider, start):
        kernel = start()
        (nursery,) = list_nurseries(provider)
        assert look_at(kernel.agent_pid).parent_pid == nursery.pid
        assert parent_of(kernel) == kernel.agent_pid
        assert command_of(kernel.agent_pid)[1:] == ["-m", "jupyter_remote_kernels.agent"]
        assert command_of(kernel.kernel_pid)[:3] == LAUNCHER[:3]
        assert "arguments" not in psutil.Process(kernel.kernel_pid).cmdline()

    def test_another_command_is_spawned_by_a_forked_agent(self, provider, start):
        argv = [sys.executable, "-m", "ipykernel", "-f", "{connection_file}"]
        kernel = start(argv=argv)
        assert is_forked(provider, kernel.agent_pid)
        maps = Path(f"/proc/{kernel.kernel_pid}/cmdline").read_bytes()
        assert not maps.endswith(b"\0\0")
        assert kernel.connect().value("result = 1") == 1

    @pytest.mark.parametrize("name", ["PYTHONHASHSEED", "MALLOC_ARENA_MAX", "LANG", "USER"])
    def test_variables_read_at_the_start_need_a_spawned_kernel(self, provider, start, name):
        kernel = start(env={name: "7"})
        assert is_forked(provider, kernel.agent_pid)
        # A forked one shows what is left of its nursery's room behind its command.
        assert not Path(f"/proc/{kernel.kernel_pid}/cmdline").read_bytes().endswith(b"\0\0")
        assert kernel.connect().value(f"import os; result = os.environ[{name!r}]") == "7"

    def test_environment_with_such_variables_has_a_nursery_with_them(self, monkeypatch):
        monkeypatch.delenv("PYTHONHASHSEED", raising=False)
        env = {"PYTHONHASHSEED": "7", "OTHER": "x"}
        with nursery_provider(env) as provider:
            kernel = start_kernel(provider, env=env)
            try:
                assert Path(f"/proc/{kernel.kernel_pid}/cmdline").read_bytes().endswith(b"\0\0")
                code = "import sys; result = [hash('a'), sys.flags.hash_randomization]"
                expected = subprocess.check_output(
                    [sys.executable, "-c", "print(hash('a'))"], env={**os.environ, **env}
                )
                assert kernel.connect().value(code) == [int(expected), 1]
            finally:
                kernel.stop()

    def test_fork_can_be_switched_off(self, provider, start):
        assert not is_forked(provider, start(fork=False).agent_pid)

    def test_nothing_is_started_by_a_program_that_launches_once(self):
        provider = LocalProvider()
        kernel = start_kernel(provider)
        try:
            assert list_nurseries(provider) == []
            assert look_at(kernel.agent_pid).parent_pid == os.getpid()
        finally:
            kernel.stop()

    def test_one_nursery_for_environments_that_do_not_differ_early(self):
        async def check():
            provider = LocalProvider()
            tables = [{}, {"env": {"A": "b"}}, {"fork": False}, {"options": {"python": 3}}]
            made = [Environment.from_json(f"e{n}", table) for n, table in enumerate(tables[:3])]
            await provider.prepare(made)
            assert len(list_nurseries(provider)) == 1
            (before,) = list_nurseries(provider)
            await provider.prepare(made[:1])
            assert list_nurseries(provider) == [before]
            await provider.prepare([])
            assert list_nurseries(provider) == []
            return before.pid

        pid = asyncio.run(check())
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")

    def test_limits_hold_for_a_forked_kernel(self, provider):
        kernel = JobKernel(provider)
        spec = vars(kernel.spec)
        kernel.spec = type(kernel.spec)(**{**spec, "resources": Resources(memory_bytes=2**30)})
        asyncio.run(kernel.start())
        try:
            assert is_forked(provider, kernel.agent_pid)
            kernel.connect().client.execute("hog = b'x' * (2 * 2**30); hog.count(b'y')")
            until(lambda: is_told_about_memory(kernel))
        finally:
            kernel.stop()


def is_told_about_memory(kernel):
    status = kernel.ask("remote-kernels/status")
    if status["exit"] is not None:
        return status["exit"]["reason"] == "out_of_memory"
    # Without a writable control group the address space is limited, and Python says so.
    with contextlib.suppress(queue.Empty):
        message = kernel.client.get_shell_msg(timeout=0.2)
        return message["content"].get("ename") == "MemoryError"
    return False


class TestTrouble:
    def test_launch_goes_on_when_the_nursery_is_killed_and_there_is_a_new_one(
        self, provider, start
    ):
        async def check():
            (dead,) = list_nurseries(provider)
            os.kill(dead.pid, signal.SIGKILL)
            kernel = await JobKernel(provider).start()
            try:
                assert look_at(kernel.agent_pid).parent_pid == os.getpid()
                await prepare_again(provider, dead)
            finally:
                await provider.stop({"label": kernel.label}, 0.0)

        asyncio.run(check())
        kernel = start()
        assert is_forked(provider, kernel.agent_pid)

    def test_its_agents_live_on_when_it_dies(self, provider, start):
        kernel = start().connect()
        (nursery,) = list_nurseries(provider)
        os.kill(nursery.pid, signal.SIGKILL)
        assert kernel.value("result = 1") == 1
        (status,) = asyncio.run(provider.poll([kernel.checkpoint]))
        assert status.state is JobState.RUNNING
        os.kill(kernel.agent_pid, signal.SIGKILL)
        until(lambda: not is_alive(kernel.agent_pid, kernel.checkpoint["identity"]))
        (status,) = asyncio.run(provider.poll([kernel.checkpoint]))
        assert status.state is JobState.MISSING  # nobody was there to be told its exit status

    def test_exit_status_of_a_forked_agent_is_told(self, provider, start):
        kernel = start()
        kernel.ask("remote-kernels/status")
        os.kill(kernel.agent_pid, signal.SIGTERM)
        until(lambda: not is_alive(kernel.agent_pid, kernel.checkpoint["identity"]))
        (status,) = asyncio.run(provider.poll([kernel.checkpoint]))
        assert (status.state, status.exit_code) == (JobState.SUCCEEDED, 0)

    def test_hanging_nursery_delays_a_launch_a_little_and_starts_no_second_agent(
        self, provider, start, monkeypatch
    ):
        monkeypatch.setattr(nurseries, "_FORK_LIMIT_S", 0.3)
        (nursery,) = list_nurseries(provider)
        os.kill(nursery.pid, signal.SIGSTOP)
        started_s = time.monotonic()
        kernel = start()
        assert time.monotonic() - started_s < 2
        assert look_at(kernel.agent_pid).parent_pid == os.getpid()
        agents = [
            info.pid
            for info in read_processes().members(kernel.label)
            if command_of(info.pid)[1:] == ["-m", "jupyter_remote_kernels.agent"]
        ]
        assert agents == [kernel.agent_pid]

    def test_late_child_sees_that_nobody_waits(self, provider, monkeypatch):
        async def check():
            (nursery,) = list_nurseries(provider)
            os.kill(nursery.pid, signal.SIGSTOP)
            # It gives up, but leaves the nursery as it is, which then forks after all.
            monkeypatch.setattr(nurseries, "_FORK_LIMIT_S", 0.1)
            monkeypatch.setattr(nursery, "_give_up", lambda: None)
            kernel = await JobKernel(provider).start()
            os.kill(nursery.pid, signal.SIGCONT)
            await asyncio.sleep(0.3)  # for what must not happen there is no event
            children = psutil.Process(nursery.pid).children()
            try:
                assert children == []
                assert look_at(kernel.agent_pid).parent_pid == os.getpid()
            finally:
                await provider.stop({"label": kernel.label}, 0.0)

        asyncio.run(check())

    def test_launch_that_is_cancelled_while_it_forks_leaves_nothing(self, provider):
        async def check(delay_s):
            kernel = JobKernel(provider)
            starting = asyncio.ensure_future(kernel.start())
            await asyncio.sleep(delay_s)
            starting.cancel()
            await asyncio.wait({starting})
            await provider.stop({"label": kernel.label}, 0.0)
            assert read_processes().members(kernel.label) == []
            return kernel

        for delay_s in (0, 0.001, 0.002, 0.004, 0.008):
            asyncio.run(check(delay_s))
        (nursery,) = list_nurseries(provider)
        until(lambda: psutil.Process(nursery.pid).children() == [])

    def test_interpreter_without_ipykernel_is_tried_ever_more_rarely(self, tmp_path, monkeypatch):
        monkeypatch.setattr(nurseries, "_RETRY_FIRST_S", 0.05)
        empty = tmp_path / "empty"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
        table = {"options": {"python": str(empty / "bin" / "python")}}

        async def check():
            provider = LocalProvider()
            await provider.prepare([Environment.from_json("empty", table)])
            failures = provider._nurseries._failures
            while max(failures.values(), default=0) < 3:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
            await provider.prepare([])
            assert provider._nurseries._timers == {}

        asyncio.run(check())

    def test_nothing_of_it_is_left_when_its_server_is_killed(self, tmp_path):
        program = (
            "import asyncio, sys; sys.path.insert(0, sys.argv[1])\n"
            "from tests.contract.job_kernels import *\n"
            "async def main():\n"
            "    provider = LocalProvider()\n"
            "    await prepare_nursery(provider)\n"
            "    kernel = await JobKernel(provider).start()\n"
            "    pids = [kernel.agent_pid, list_nurseries(provider)[0].pid]\n"
            "    print(json.dumps([kernel.label, kernel.directory, *pids]), flush=True)\n"
            "    await asyncio.sleep(600)\n"
            "asyncio.run(main())\n"
        )
        server = subprocess.Popen(
            [sys.executable, "-c", program, str(ROOT)], stdout=subprocess.PIPE, text=True
        )
        with server:
            label, directory, agent, nursery = json.loads(server.stdout.readline())
            server.kill()
        until(lambda: look_at(nursery) is None or look_at(nursery).is_over)
        assert not look_at(agent).is_over

        async def recover():
            provider = LocalProvider()
            (checkpoint,) = await provider.recover(label)
            assert checkpoint["pid"] == agent
            assert checkpoint["directory"] == directory
            assert checkpoint["complete"]
            await provider.stop({"label": label}, 1.0)
            assert await provider.recover(label) == []

        asyncio.run(recover())


async def prepare_again(provider, dead):
    while list_nurseries(provider) in ([], [dead]):  # noqa: ASYNC110 - it is tried by a timer
        await asyncio.sleep(0.02)
    await prepare_nursery(provider)


class TestTitle:
    PROGRAM = """
import os, sys
from jupyter_remote_kernels.agent.nursery_title import Title
title = Title()
title.label("jrk-shown")
title.command(sys.argv[2:])
print(open("/proc/self/cmdline", "rb").read().rstrip(b"\\0").split(b"\\0"))
variables = open("/proc/self/environ", "rb").read().split(b"\\0")
print([item for item in variables if item.startswith(b"JUPYTER_REMOTE_KERNELS")])
"""

    def show(self, *words, room=" " * 2048, variable=ROOM):
        env = {"PATH": os.defpath, "LAST": "x", ROOM_VARIABLE: variable}
        command = [sys.executable, "-c", self.PROGRAM, room, *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def test_command_and_label_are_shown(self):
        command, label = self.show("python", "-m", "ipykernel_launcher").stdout.splitlines()
        assert command == "[b'python', b'-m', b'ipykernel_launcher']"
        assert label == "[b'JUPYTER_REMOTE_KERNELS_LABEL=jrk-shown']"

    def test_command_that_is_too_long_is_cut(self):
        command = self.show("x" * 9000).stdout.splitlines()[0]
        assert 2000 < len(command) < 12_000

    @pytest.mark.parametrize("wrong", [{"room": ""}, {"variable": "~"}])
    def test_without_room_it_says_so(self, wrong):
        assert "was not found" in self.show(**wrong).stderr

    def test_longest_label_fits(self):
        longest = f"{nursery_title.LABEL_VARIABLE}={'x' * 128}"
        assert len(longest) == len(f"{ROOM_VARIABLE}={ROOM}")


def test_early_variables():
    names = ["PYTHONPATH", "LD_PRELOAD", "LC_ALL", "HF_TOKEN", "MYPYTHON", "OMP_NUM_THREADS"]
    assert list_early(names) == {"PYTHONPATH", "LD_PRELOAD", "LC_ALL"}
    assert list_early(names, ["HF_TOKEN", "JPY_PARENT_PID"]) >= {"HF_TOKEN"}
    assert "JPY_PARENT_PID" not in list_early(["JPY_PARENT_PID"], ["JPY_PARENT_PID"])
