"""The provider of this machine keeps the contract, with limits and without."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

pytest.register_assert_rewrite("jupyter_remote_kernels.testing.provider_contract")

from jupyter_remote_kernels.model.environments import (  # noqa: E402 - after the line above
    Environment,
    Resources,
)
from jupyter_remote_kernels.providers.base import JobState  # noqa: E402
from jupyter_remote_kernels.providers.local import LocalProvider  # noqa: E402
from jupyter_remote_kernels.providers.processes import look_at, read_processes  # noqa: E402
from jupyter_remote_kernels.testing.provider_contract import ProviderContract  # noqa: E402


async def prepare_nursery(provider):
    environment = Environment.from_json("python", {})
    await provider.prepare([environment])
    while provider._nurseries.find(sys.executable, {})[0] is None:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)


def is_forked(provider, checkpoint):
    (nursery,) = provider._nurseries._running.values()
    return look_at(checkpoint["pid"]).parent_pid == nursery.pid


class TestLocalProvider(ProviderContract):
    refused_options = {"python": "/nowhere/python"}

    @pytest.fixture
    def provider(self):
        return LocalProvider()

    def survivors(self, label):
        return read_processes().members(label)


class TestLocalProviderWithForkedAgents(TestLocalProvider):
    @pytest.fixture
    def provider(self):
        made = LocalProvider()
        asyncio.run(prepare_nursery(made))
        yield made
        asyncio.run(made.prepare([]))

    def forget(self, provider):
        return LocalProvider()

    async def start_running(self, provider, spec):
        checkpoint = await super().start_running(provider, spec)
        assert is_forked(provider, checkpoint)
        return checkpoint


class TestLocalProviderWithForkedKernels(TestLocalProviderWithForkedAgents):
    def command(self, program):
        # The kernel runs it before it looks at its sockets; what it prints goes to the log.
        program = f"import sys; sys.stdout = sys.__stdout__\n{program}"
        options = ["--IPKernelApp.capture_fd_output=False", "-c", program]
        return [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", *options]


class TestLocalProviderWithLimits(TestLocalProvider):
    resources = Resources(cpu=0.5, memory_bytes=512 * 2**20)

    def test_kernel_over_its_memory_limit_is_killed_and_the_cause_is_told(
        self, provider, make_spec
    ):
        async def check():
            spec = make_spec("hog = b'x' * (1024 * 2**20)")
            checkpoint = await self.start_running(provider, spec)
            answer = await self.read_answer(
                provider, spec, checkpoint, "status", lambda text: '"reason"' in text
            )
            cause = json.loads(answer.partition("\r\n\r\n")[2])["exit"]
            assert cause["reason"] == "out_of_memory"
            assert "512 MiB" in cause["message"]
            # The agent is not in the group: it lives on and can start the kernel again.
            (status,) = await provider.poll([checkpoint])
            assert status.state is JobState.RUNNING
            await provider.stop(checkpoint, 1.0)

        asyncio.run(check())
