"""The doubles keep the contract too, wherever they do not misbehave on purpose."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

pytest.register_assert_rewrite("jupyter_remote_kernels.testing.provider_contract")

from jupyter_remote_kernels.errors import (  # noqa: E402 - after the line above
    NotFound,
    ProviderError,
    ProviderUnavailable,
)
from jupyter_remote_kernels.providers.base import JobState  # noqa: E402
from jupyter_remote_kernels.providers.local import LocalProvider  # noqa: E402
from jupyter_remote_kernels.providers.processes import read_processes  # noqa: E402
from jupyter_remote_kernels.providers.registry import list_providers, load_provider  # noqa: E402
from jupyter_remote_kernels.testing.doubles import (  # noqa: E402
    FailingProvider,
    QueueingProvider,
    installed,
    write_entry_points,
)
from jupyter_remote_kernels.testing.provider_contract import ProviderContract  # noqa: E402


class TestQueueingProvider(ProviderContract):
    options = {"queue_s": 0.1}

    @pytest.fixture
    def provider(self, tmp_path):
        self.folder = tmp_path / "queue"
        return QueueingProvider(folder=self.folder)

    def forget(self, provider):
        return QueueingProvider(folder=self.folder)

    def survivors(self, label):
        return read_processes().members(label)

    def test_job_waits_with_the_engines_words_until_released(self, provider, make_spec):
        self.options = {}

        async def check():
            spec = make_spec()
            checkpoint = [item async for item in provider.start(spec)][-1]
            (status,) = await provider.poll([checkpoint])
            assert status.state is JobState.QUEUED
            assert status.message == "Waiting for resources (position 3)"
            with pytest.raises(ProviderError):
                await provider.endpoint(checkpoint)
            assert not self.survivors(spec.label)
            provider.release(spec.label)
            (status,) = await provider.poll([checkpoint])
            assert status.state is JobState.RUNNING
            await provider.stop(checkpoint, 0)

        asyncio.run(check())

    def test_job_can_be_stopped_in_the_queue(self, provider, make_spec):
        self.options = {"queue_s": 600}

        async def check():
            spec = make_spec()
            checkpoint = [item async for item in provider.start(spec)][-1]
            await provider.stop(checkpoint, 10.0)
            await self.assert_gone(provider, spec.label, checkpoint)

        asyncio.run(check())


class TestFailingProvider(ProviderContract):
    refused_options = {"fail_at": "start:1", "fail_how": "fail"}

    @pytest.fixture
    def provider(self):
        return FailingProvider()

    def survivors(self, label):
        return read_processes().members(label)

    @pytest.mark.parametrize("point,committed", [("start:0", 0), ("start:1", 1), ("start:end", 2)])
    def test_start_fails_at_the_point(self, provider, make_spec, point, committed):
        self.options = {"fail_at": point}
        spec = make_spec()
        seen = []

        async def start():
            async for checkpoint in provider.start(spec):
                seen.append(checkpoint)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(ProviderError, match=point):
            asyncio.run(start())
        assert len(seen) == committed

    def test_start_blocks_at_the_point_until_released(self, provider, make_spec):
        self.options = {"fail_at": "start:1", "fail_how": "block"}
        spec = make_spec()

        async def check():
            seen = []

            async def start():
                async for checkpoint in provider.start(spec):
                    seen.append(checkpoint)  # noqa: PERF401 - looked at while it blocks

            task = asyncio.create_task(start())
            await provider.wait_reached()
            assert len(seen) == 1
            provider.release()
            await task
            assert len(seen) == 2
            await provider.stop(seen[-1], 0)

        asyncio.run(check())

    @pytest.mark.parametrize("point", ["stop", "endpoint", "recover"])
    def test_verb_is_unavailable_once(self, make_spec, point):
        provider = FailingProvider(at=point, how="unavailable")

        async def check():
            spec = make_spec()
            checkpoint = [item async for item in provider.start(spec)][-1]
            calls = {
                "endpoint": lambda: provider.endpoint(checkpoint),
                "recover": lambda: provider.recover(spec.label),
                "stop": lambda: provider.stop(checkpoint, 0),
            }
            with pytest.raises(ProviderUnavailable):
                await calls[point]()
            for call in calls.values():
                await call()

        asyncio.run(check())

    def test_poll_that_fails_is_unknown_and_not_an_end(self):
        provider = FailingProvider(at="poll")
        (status,) = asyncio.run(provider.poll([{"label": "x"}]))
        assert status.state is JobState.UNKNOWN
        assert not status.state.is_over

    def test_kill_takes_the_whole_process_with_it(self, make_spec):
        spec = make_spec()
        program = (
            "import asyncio, json, sys\n"
            "from jupyter_remote_kernels.providers.base import JobSpec\n"
            "from jupyter_remote_kernels.testing.doubles import FailingProvider\n"
            "async def main():\n"
            "    spec = JobSpec(**json.load(sys.stdin))\n"
            "    async for item in FailingProvider(at='start:1', how='kill').start(spec):\n"
            "        print(json.dumps(item), flush=True)\n"
            "asyncio.run(main())\n"
        )
        data = {**vars(spec), "agent_settings": dict(spec.agent_settings), "options": {}}
        data.pop("resources")
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(data).encode(),
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        (line,) = done.stdout.splitlines()
        # The job runs, and the only committed checkpoint does not know its process.
        assert "pid" not in json.loads(line)
        assert self.survivors(spec.label)
        asyncio.run(LocalProvider().stop(json.loads(line), 0))
        assert not self.survivors(spec.label)


def test_installed_provider_is_found_by_name():
    provider = FailingProvider()
    with installed(provider, "special"):
        assert load_provider("special") is provider
        assert "special" in list_providers()
    with pytest.raises(NotFound):
        load_provider("special")


def test_installed_provider_may_hide_another_one():
    provider = FailingProvider()
    with installed(provider, "local"):
        assert load_provider("local") is provider
    assert isinstance(load_provider("local"), LocalProvider)


def test_another_process_finds_the_doubles(tmp_path):
    write_entry_points(tmp_path)
    program = (
        "from jupyter_remote_kernels.providers.registry import load_provider\n"
        "print(load_provider('queueing').name, load_provider('failing').name)"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    output = subprocess.check_output(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        timeout=30,
        text=True,
    )
    assert output.split() == ["queueing", "failing"]
