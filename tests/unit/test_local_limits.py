"""Control groups of local jobs: made, found again, removed, done without."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers import cgroups
from jupyter_remote_kernels.providers.base import JobState
from tests.unit.local_programs import (
    LABEL,
    make_spec,
    provider,
    read_report,
    spawn_sleeper,
    start,
    start_and_report,
)

__all__ = ["make_spec", "provider"]


def move(pid, groups):
    for path in groups.process_files:
        Path(path).write_text(str(pid))


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
