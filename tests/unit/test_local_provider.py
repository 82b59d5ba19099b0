"""What the local provider does beyond the contract: processes, limits, secrets, odd endings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from jupyter_remote_kernels.errors import ProviderError, ProviderUnavailable, StopFailed
from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers import cgroups, local
from jupyter_remote_kernels.providers.base import JobSpec, JobState
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.processes import (
    LABEL_VARIABLE,
    ProcessReader,
    is_alive,
    look_at,
    read_processes,
    wait_ended,
)

LABEL = "jrk-unit"
# Stands in place of the agent and writes what it got where the test can read it.
REPORTER = """
import json, os, socket, sys, time
settings = json.load(sys.stdin)
listener = socket.socket(fileno=settings["listen_fd"])
print(json.dumps({
    "settings": settings,
    "argv": sys.argv,
    "env": dict(os.environ),
    "cwd": os.getcwd(),
    "session": os.getsid(0) == os.getpid(),
    "port": listener.getsockname()[1],
    "descriptors": len(os.listdir("/proc/self/fd")),
}), flush=True)
exec(settings.get("then", "time.sleep(600)"))
"""


@pytest.fixture
def provider():
    made = LocalProvider(["-c", REPORTER])
    yield made
    asyncio.run(stop_found(made))
    assert read_processes().members(LABEL) == []
    assert cgroups.find(LABEL, set()) is None


async def stop_found(provider):
    for checkpoint in await provider.recover(LABEL):
        await provider.stop(checkpoint, 0.0)


@pytest.fixture
def make_spec(tmp_path):
    def make(then="time.sleep(600)", options=None, resources=None, label=LABEL):
        return JobSpec(
            label=label,
            runtime_id="unit",
            directory=str(tmp_path),
            agent_settings={"token": "secret-token", "then": then},
            resources=resources or Resources(),
            options=options or {},
        )

    return make


async def start(provider, spec):
    return [checkpoint async for checkpoint in provider.start(spec)][-1]


async def read_report(spec):
    log = Path(spec.directory) / "agent.log"
    await until(lambda: find_report(log))
    return json.loads(find_report(log))


def find_report(log):
    lines = log.read_text().splitlines(keepends=True)
    return next((line for line in lines if line.startswith("{") and line.endswith("\n")), None)


async def until(is_so):
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)  # files that another process writes have no events
    raise AssertionError("it never came to be so")


def spawn_sleeper():
    return subprocess.Popen(["sleep", "600"], start_new_session=True)


def move(pid, groups):
    for path in groups.process_files:
        Path(path).write_text(str(pid))


def start_and_report(provider, spec):
    async def run():
        checkpoint = await start(provider, spec)
        report = await read_report(spec)
        await provider.stop(checkpoint, 0.0)
        return checkpoint, report

    return asyncio.run(run())


def test_program_gets_settings_socket_session_and_directory(provider, make_spec, tmp_path):
    checkpoint, report = start_and_report(provider, make_spec())
    assert report["settings"]["token"] == "secret-token"
    assert report["settings"]["limits"] == {"cgroup_procs": [], "address_space_bytes": None}
    assert report["cwd"] == str(tmp_path)
    assert report["session"] is True
    assert report["port"] == checkpoint["port"]
    assert "secret-token" not in json.dumps([report["argv"], report["env"]])
    # 0, 1, 2, the socket, and the listing itself: nothing of ours has leaked.
    assert report["descriptors"] == 5
    assert not any(name.startswith("tmp") for name in os.listdir(tmp_path))


def test_large_settings_do_not_wait_for_their_reader(provider, make_spec):
    spec = make_spec()
    large = {**spec.agent_settings, "env": {"A": "x" * 2_000_000}}
    spec = JobSpec(**{**vars(spec), "agent_settings": large})
    _, report = start_and_report(provider, spec)
    assert len(report["settings"]["env"]["A"]) == 2_000_000


def test_connections_wait_for_a_program_that_is_not_up_yet(provider, make_spec):
    async def check():
        then = "connection, _ = listener.accept(); connection.sendall(b'hello'); connection.close()"
        spec = make_spec(then)
        checkpoint = await start(provider, spec)
        reader, writer = await asyncio.open_connection("127.0.0.1", checkpoint["port"])
        assert await reader.read() == b"hello"
        writer.close()
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


@pytest.mark.parametrize(
    "name",
    [
        "JUPYTER_TOKEN",
        "JPY_API_TOKEN",
        "JUPYTERHUB_API_TOKEN",
        "CONFIGPROXY_AUTH_TOKEN",
        "JUPYTERHUB_CRYPT_KEY",
        "JUPYTERHUB_COOKIE_SECRET",
        "JUPYTER_GATEWAY_AUTH_TOKEN",
        "KG_AUTH_TOKEN",
    ],
)
def test_servers_secrets_do_not_reach_the_job(provider, make_spec, monkeypatch, name):
    monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("USERS_OWN_API_TOKEN", "visible")
    _, report = start_and_report(provider, make_spec())
    assert name not in report["env"]
    assert report["env"]["USERS_OWN_API_TOKEN"] == "visible"
    assert report["env"][LABEL_VARIABLE] == LABEL


def test_log_is_appended_to_and_private(provider, make_spec, tmp_path):
    log = tmp_path / "agent.log"
    start_and_report(provider, make_spec())
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.write_text("of an earlier launch\n")
    start_and_report(provider, make_spec())
    assert log.read_text().startswith("of an earlier launch\n{")


def test_other_interpreter_finds_only_our_package(provider, make_spec, tmp_path):
    link = tmp_path / "other-python"
    link.symlink_to(sys.executable)
    then = "import jupyter_remote_kernels; print(jupyter_remote_kernels.__version__)"
    _, report = start_and_report(provider, make_spec(then, {"python": str(link)}))
    folder = report["env"]["PYTHONPATH"].split(os.pathsep)[-1]
    assert os.listdir(folder) == ["jupyter_remote_kernels"]
    # A second start in the same directory, as a resumed runtime has it.
    start_and_report(provider, make_spec(then, {"python": str(link)}))


@pytest.mark.parametrize(
    "options", [{"pyhton": "x"}, {"python": 3}, {"python": ""}, {"python": "/nowhere/python"}]
)
def test_bad_options_are_refused(provider, make_spec, options, tmp_path):
    resources = Resources(cpu=1, memory_bytes=2**29)
    with pytest.raises(ProviderError) as caught:
        asyncio.run(start(provider, make_spec(options=options, resources=resources)))
    assert caught.value.hint
    assert cgroups.find(LABEL, set()) is None


@pytest.mark.parametrize("label", ["", "../up", "a/b", "-x", "a\0b", "x" * 200])
def test_labels_that_could_leave_their_place_are_refused(provider, make_spec, label):
    with pytest.raises(ProviderError, match="label"):
        asyncio.run(start(provider, make_spec(label=label)))


@pytest.mark.parametrize(
    "then,state,code",
    [
        ("sys.exit(0)", JobState.SUCCEEDED, 0),
        ("sys.exit(3)", JobState.FAILED, 3),
        ("os.kill(os.getpid(), 9)", JobState.FAILED, -9),
    ],
)
def test_end_is_told_with_its_code_and_leaves_no_zombie(provider, make_spec, then, state, code):
    async def check():
        spec = make_spec(then)
        checkpoint = await start(provider, spec)
        await wait_ended([look_at(checkpoint["pid"])], 10)
        (status,) = await provider.poll([checkpoint])
        assert (status.state, status.exit_code) == (state, code)
        assert "secret-token" in status.log_tail  # our program prints it; the tail is its log
        assert not psutil.pid_exists(checkpoint["pid"])
        # Another process, which is not the parent, knows no code.
        (status,) = await LocalProvider().poll([checkpoint])
        assert (status.state, status.exit_code) == (JobState.MISSING, None)
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


def test_zombie_counts_as_ended(provider, make_spec):
    async def check():
        checkpoint = await start(provider, make_spec("sys.exit(0)"))
        info = look_at(checkpoint["pid"])
        await wait_ended([info], 10)
        assert look_at(checkpoint["pid"]).is_over
        assert not is_alive(info.pid, info.identity)
        other = LocalProvider(["-c", REPORTER])
        (status,) = await other.poll([checkpoint])
        assert status.state is JobState.MISSING
        assert await other.recover(LABEL) == []
        await other.stop(checkpoint, 1.0)
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


def test_process_id_used_again_is_not_ours(provider):
    async def check():
        with spawn_sleeper() as stranger:
            checkpoint = {
                "label": LABEL,
                "directory": None,
                "host": socket.gethostname(),
                "cgroup": None,
                "pid": stranger.pid,
                "identity": "an earlier one",
                "port": 1,
                "complete": True,
            }
            (status,) = await provider.poll([checkpoint])
            assert status.state is JobState.MISSING
            await provider.stop(checkpoint, 5.0)
            assert stranger.poll() is None
            stranger.kill()

    asyncio.run(check())


def test_agent_ends_by_itself_when_it_is_asked_first(provider, make_spec, tmp_path):
    then = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('polite', 'w').close(), os._exit(0)))\n"
        "open('ready', 'w').close()\n"
        "while True: signal.pause()"
    )

    async def check():
        checkpoint = await start(provider, make_spec(then))
        await until((tmp_path / "ready").exists)
        began_s = time.monotonic()
        await provider.stop(checkpoint, 20.0)
        # The end is an event: nothing here waits for the patience to run out.
        assert time.monotonic() - began_s < 5
        assert (tmp_path / "polite").exists()

    asyncio.run(check())


FAMILIES = {
    "own session": "start_new_session=True",
    "wiped environment": "env={}",
    "wiped environment and own session": "env={}, start_new_session=True",
}


@pytest.mark.parametrize("how", FAMILIES.values(), ids=FAMILIES.keys())
def test_children_are_found_however_they_hide(provider, make_spec, tmp_path, how):
    then = (
        "import subprocess\n"
        f"child = subprocess.Popen(['/bin/sleep', '600'], {how})\n"
        "open('child.new', 'w').write(str(child.pid)); os.rename('child.new', 'child')\n"
        "time.sleep(600)"
    )

    async def check():
        checkpoint = await start(provider, make_spec(then))
        await until((tmp_path / "child").exists)
        child = look_at(int((tmp_path / "child").read_text()))
        assert is_alive(child.pid, child.identity)
        await provider.stop(checkpoint, 0.0)
        assert not is_alive(child.pid, child.identity)

    asyncio.run(check())


def test_agent_killed_alone_leaves_a_kernel_that_is_found_and_stopped(provider, make_spec):
    then = (
        "import subprocess\n"
        "child = subprocess.Popen(['/bin/sleep', '600'], start_new_session=True)\n"
        "os.kill(os.getpid(), 9)"
    )

    async def check():
        checkpoint = await start(provider, make_spec(then))
        await wait_ended([look_at(checkpoint["pid"])], 10)
        (status,) = await provider.poll([checkpoint])
        assert status.state is JobState.FAILED
        (found,) = await provider.recover(LABEL)
        assert not found.get("complete")
        (status,) = await provider.poll([found])
        assert status.state is JobState.RUNNING
        with pytest.raises(ProviderError):
            await provider.endpoint(found)
        await provider.stop(found, 1.0)
        assert await provider.recover(LABEL) == []
        (status,) = await provider.poll([found])
        assert status.state is JobState.MISSING

    asyncio.run(check())


def test_a_job_never_takes_this_process_along(provider, make_spec, monkeypatch):
    # As in a server that itself runs inside a job of the same label.
    monkeypatch.setattr(
        "jupyter_remote_kernels.providers.processes._read_label",
        lambda pid: LABEL if pid in (os.getpid(), os.getppid()) else None,
    )
    assert [info.pid for info in read_processes().members(LABEL)] == []
    asyncio.run(provider.stop({"label": LABEL, "directory": None, "cgroup": None}, 0.0))


def test_job_of_another_host_is_unknown_and_not_gone(provider):
    checkpoint = {
        "label": LABEL,
        "directory": "/nowhere",
        "host": "elsewhere",
        "cgroup": None,
        "pid": 1,
        "identity": "x",
        "port": 1,
        "complete": True,
    }
    (status,) = asyncio.run(provider.poll([checkpoint]))
    assert status.state is JobState.UNKNOWN
    assert "elsewhere" in status.message
    with pytest.raises(StopFailed, match="elsewhere"):
        asyncio.run(provider.stop(checkpoint, 0.0))
    with pytest.raises(ProviderUnavailable):
        asyncio.run(provider.endpoint(checkpoint))


def test_process_that_cannot_be_killed_is_told(provider, make_spec, monkeypatch):
    monkeypatch.setattr(local, "_KILL_LIMIT_S", 0.2)

    async def check():
        checkpoint = await start(provider, make_spec())
        with monkeypatch.context() as patch:

            def refuse(info, signum):
                raise PermissionError

            patch.setattr(
                "jupyter_remote_kernels.providers.processes.ProcessInfo.send_signal", refuse
            )
            with pytest.raises(StopFailed, match=str(checkpoint["pid"])):
                await provider.stop(checkpoint, 0.1)
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


def test_works_without_process_descriptors(provider, make_spec, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")

    async def check():
        checkpoint = await start(provider, make_spec())
        info = look_at(checkpoint["pid"])
        assert await wait_ended([info], 0.05) is False
        await provider.stop(checkpoint, 1.0)
        assert await wait_ended([info], 1.0) is True

    asyncio.run(check())


def test_stops_at_once_share_their_looks_at_the_process_list(monkeypatch):
    looks = []

    def count():
        looks.append(1)
        return read_processes()

    monkeypatch.setattr("jupyter_remote_kernels.providers.processes.read_processes", count)

    async def check():
        reader = ProcessReader()
        tables = await asyncio.gather(*(reader.read() for _ in range(100)))
        assert len(tables) == 100
        assert len(looks) == 1
        first = asyncio.create_task(reader.read())
        await until(lambda: len(looks) == 2)
        # Asked while a look is under way: that one may be too old already.
        await asyncio.gather(reader.read(), reader.read())
        await first
        assert len(looks) == 3

    asyncio.run(check())


def test_cancelled_look_does_not_disturb_the_others():
    async def check():
        reader = ProcessReader()
        first, second = (asyncio.create_task(reader.read()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert os.getpid() in (await second).processes

    asyncio.run(check())


def test_label_is_read_exactly(monkeypatch):
    env = {f"X_{LABEL_VARIABLE}": "wrong", LABEL_VARIABLE: "right", "A": "b"}
    with subprocess.Popen(["sleep", "60"], env=env) as process:
        labels = read_processes().labels
        process.kill()
    assert process.pid in labels["right"]
    assert "wrong" not in labels


def test_process_with_a_strange_name_is_read(tmp_path):
    program = tmp_path / "a) R (b c"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        info = look_at(process.pid)
        process.kill()
    assert info.parent_pid == os.getpid()
    assert info.is_over is False


def test_nobody_is_no_process():
    assert look_at(2**22 + 1) is None


class TestLimits:
    def limits(self):
        return Resources(cpu=0.5, memory_bytes=300 * 2**20)

    def test_groups_are_made_with_their_limits_and_removed(self, provider, make_spec):
        resources = self.limits()
        plan = cgroups.plan(LABEL, resources)
        if plan is None:
            pytest.fail("run the tests where control groups can be written, e.g. as root")

        async def check():
            spec = make_spec(resources=resources)
            checkpoints = [item async for item in provider.start(spec)]
            # Promised before they are made: a crash in between leaves nothing unknown.
            assert checkpoints[0]["cgroup"] == checkpoints[-1]["cgroup"] == plan.to_json()
            assert all(path.is_dir() for path in plan.directories)
            report = await read_report(spec)
            assert report["settings"]["cgroup"] == plan.to_json()
            assert report["settings"]["limits"] == {
                "cgroup_procs": plan.process_files,
                "address_space_bytes": None,
            }
            assert report["settings"]["memory_limit_bytes"] == 300 * 2**20
            await provider.stop(checkpoints[-1], 0.0)
            assert not any(path.exists() for path in plan.directories)

        asyncio.run(check())

    def test_group_of_a_launch_that_died_half_way_is_removed(self, provider, make_spec):
        resources = self.limits()

        async def check():
            steps = provider.start(make_spec(resources=resources))
            first = await anext(steps)
            await steps.aclose()
            plan = cgroups.Cgroups.from_json(first["cgroup"])
            plan.create(resources)
            await provider.stop(first, 0.0)
            assert not any(path.exists() for path in plan.directories)

        asyncio.run(check())

    def test_empty_group_is_found_by_its_label_alone(self, provider):
        plan = cgroups.plan(LABEL, self.limits())
        plan.create(self.limits())

        async def check():
            (found,) = await provider.recover(LABEL)
            (status,) = await provider.poll([found])
            assert status.state is JobState.MISSING
            await provider.stop(found, 0.0)
            assert await provider.recover(LABEL) == []

        asyncio.run(check())
        assert not any(path.exists() for path in plan.directories)

    def test_process_in_the_group_is_stopped_even_without_any_mark(self, provider, make_spec):
        resources = self.limits()

        async def check():
            checkpoint = await start(provider, make_spec(resources=resources))
            plan = cgroups.Cgroups.from_json(checkpoint["cgroup"])
            with spawn_sleeper() as stray:
                move(stray.pid, plan)
                await provider.stop(checkpoint, 0.0)
                assert stray.wait(5) == -signal.SIGKILL

        asyncio.run(check())

    def test_group_is_found_again_through_its_processes(self, provider, make_spec, monkeypatch):
        resources = self.limits()

        async def check():
            checkpoint = await start(provider, make_spec(resources=resources))
            move(checkpoint["pid"], cgroups.Cgroups.from_json(checkpoint["cgroup"]))
            # As in a server that was started again elsewhere in the tree of groups.
            with monkeypatch.context() as patch:
                patch.setattr(cgroups, "_base", lambda controller: None)
                (found,) = await provider.recover(LABEL)
            assert found["cgroup"] == checkpoint["cgroup"]
            await provider.stop(found, 0.0)

        asyncio.run(check())

    def test_without_writable_groups_memory_is_limited_by_address_space(
        self, provider, make_spec, monkeypatch, caplog
    ):
        monkeypatch.setattr(cgroups, "_base", lambda controller: None)
        checkpoint, report = start_and_report(provider, make_spec(resources=self.limits()))
        assert checkpoint["cgroup"] is None
        assert report["settings"]["limits"] == {
            "cgroup_procs": [],
            "address_space_bytes": 300 * 2**20,
        }
        assert "CPU" in caplog.text

    def test_group_that_cannot_be_made_after_all_is_done_without(
        self, provider, make_spec, monkeypatch, tmp_path
    ):
        file = tmp_path / "file"
        file.touch()
        monkeypatch.setattr(cgroups, "_base", lambda controller: (1, file))
        _, report = start_and_report(provider, make_spec(resources=self.limits()))
        assert report["settings"]["limits"]["address_space_bytes"] == 300 * 2**20

    @pytest.mark.parametrize(
        "version,written",
        [
            (1, {"memory.limit_in_bytes": "1048576", "cpu.cfs_quota_us": "150000"}),
            (2, {"memory.max": "1048576", "cpu.max": "150000 100000"}),
        ],
    )
    def test_limits_are_written_as_each_version_wants_them(self, tmp_path, version, written):
        groups = cgroups.Cgroups(version, str(tmp_path / "g"), str(tmp_path / "g"))
        groups.create(Resources(cpu=1.5, memory_bytes=2**20))
        for name, text in written.items():
            assert (tmp_path / "g" / name).read_text() == text

    def test_version_two_takes_the_nearest_group_that_delegates(self, tmp_path, monkeypatch):
        mount = tmp_path / "cgroup"
        own = mount / "user.slice" / "app.slice" / "shell.scope"
        own.mkdir(parents=True)
        for folder, enabled in (
            (mount, "cpu memory"),
            (mount / "user.slice", "cpu memory"),
            (mount / "user.slice" / "app.slice", "memory"),
            (own, ""),
        ):
            (folder / "cgroup.subtree_control").write_text(enabled)
            (folder / "cgroup.procs").write_text("")
        hierarchy = cgroups.Hierarchy(2, frozenset(), mount, "")
        monkeypatch.setattr(
            cgroups,
            "_memberships",
            lambda pid: [(hierarchy, "/user.slice/app.slice/shell.scope")],
        )
        base = cgroups._base.__wrapped__
        assert base("memory") == (2, mount / "user.slice" / "app.slice")
        assert base("cpu") == (2, mount / "user.slice")
        assert base("io") is None

    def test_group_in_a_container_is_below_the_mount(self, tmp_path):
        (tmp_path / "inner").mkdir()
        hierarchy = cgroups.Hierarchy(1, frozenset({"memory"}), tmp_path, "/docker/abc")
        assert hierarchy.path_of("/docker/abc/inner") == tmp_path / "inner"
        assert hierarchy.path_of("/docker/abc") == tmp_path
        assert hierarchy.path_of("/somewhere/else") == tmp_path


def test_socket_is_on_the_loopback_interface_only(provider, make_spec):
    async def check():
        checkpoint = await start(provider, make_spec())
        connections = psutil.Process(checkpoint["pid"]).net_connections("tcp")
        assert {item.laddr.ip for item in connections} == {"127.0.0.1"}
        await provider.stop(checkpoint, 0.0)
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", checkpoint["port"])) != 0

    asyncio.run(check())
