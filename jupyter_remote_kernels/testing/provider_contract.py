"""The contract of a provider, as a suite to inherit.

::

    class TestMyEngine(ProviderContract):
        options = {"queue": "short"}

        @pytest.fixture
        def provider(self):
            return MyProvider()

Every test runs real agents on the real engine and leaves nothing behind, also when it fails.
"""

from __future__ import annotations

import asyncio
import json
import secrets

import pytest

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.providers.base import Checkpoint, JobSpec, JobState, Provider
from jupyter_remote_kernels.testing.provider_jobs import (
    ProviderJobs,
    SpecMaker,
    collect,
    start,
    status_line,
)

# Ignores every polite signal, and so does its child, which has left parent and session.
STUBBORN = """
import os, signal, time
for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
print("deaf", flush=True)
time.sleep(600)
"""


class ProviderContract(ProviderJobs):
    """Inherit it, and give the fixture ``provider`` and what differs; see ``ProviderJobs``."""

    def test_facts_are_of_use(self, provider: Provider) -> None:
        """Name, capabilities and poll interval are what the control plane expects."""
        assert provider.name
        assert isinstance(provider.name, str)
        assert all(isinstance(item, str) for item in provider.capabilities)
        assert provider.poll_interval_s > 0

    def test_checkpoints_are_json_and_the_last_is_complete(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """There is one before the first side effect, and the token is in none."""
        spec = make_spec()
        checkpoints = self.run(start(provider, spec))
        assert len(checkpoints) >= 2
        assert [bool(item.get("complete")) for item in checkpoints[:-1]] == [False] * (
            len(checkpoints) - 1
        )
        assert checkpoints[-1]["complete"] is True
        text = json.dumps([dict(item) for item in checkpoints])
        assert json.loads(text) == checkpoints
        assert str(spec.agent_settings["token"]) not in text

    def test_running_job_answers_at_its_endpoint(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """A request without the token gets an answer: the agent itself is there."""

        async def check() -> None:
            checkpoint = await self.start_running(provider, make_spec())
            url = (await provider.endpoint(checkpoint)).url
            assert not url.endswith("/")
            assert await status_line(url, self.ready_s) == "HTTP/1.1 403 Forbidden"
            (status,) = await provider.poll([checkpoint])
            assert status.state is JobState.RUNNING

        self.run(check())

    def test_poll_answers_in_order(self, provider: Provider, make_spec: SpecMaker) -> None:
        """One answer per checkpoint, also for one job asked about twice and for none."""

        async def check() -> None:
            assert await provider.poll([]) == []
            gone = await self.start_running(provider, make_spec())
            alive = await self.start_running(provider, make_spec())
            await provider.stop(gone, 0.0)
            states = [item.state for item in await provider.poll([gone, alive, gone, alive])]
            assert [state.is_over for state in states] == [True, False, True, False]
            assert states[1] is states[3] is JobState.RUNNING

        self.run(check())

    def test_job_that_ends_by_itself_is_seen(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """An agent that refuses its launcher's version ends with an error and says why."""

        async def check() -> None:
            spec = make_spec(version="0.0.0")
            checkpoint = (await start(provider, spec))[-1]
            status = await self.wait(provider, checkpoint, lambda item: item.state.is_over)
            assert status.state is not JobState.SUCCEEDED
            if "logs" in provider.capabilities:
                assert "0.0.0" in status.log_tail
            await provider.stop(checkpoint, 1.0)
            await self.assert_gone(provider, spec.label, checkpoint)

        self.run(check())

    def test_stop_is_verified_and_idempotent(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """Stopping again is a success, with and without patience."""

        async def check() -> None:
            spec = make_spec()
            checkpoint = await self.start_running(provider, spec)
            await provider.stop(checkpoint, 10.0)
            await self.assert_gone(provider, spec.label, checkpoint)
            await provider.stop(checkpoint, 10.0)
            await provider.stop(checkpoint, 0.0)
            with pytest.raises(ProviderError):
                await provider.endpoint(checkpoint)

        self.run(check())

    @pytest.mark.parametrize("grace_s", [0.0, 0.5])
    def test_stop_ends_a_stubborn_job(
        self, provider: Provider, make_spec: SpecMaker, grace_s: float
    ) -> None:
        """Signals are ignored and a child has left parent and session: all must go."""

        async def check() -> None:
            spec = make_spec(STUBBORN)
            checkpoint = await self.start_running(provider, spec)
            await self.read_answer(
                provider, spec, checkpoint, "log", lambda text: text.count("deaf") == 2
            )
            await provider.stop(checkpoint, grace_s)
            await self.assert_gone(provider, spec.label, checkpoint)

        self.run(check())

    def test_launch_can_be_given_up_at_every_checkpoint(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """The last committed checkpoint is enough for ``stop``, by another process as well."""

        async def check() -> None:
            count = 0
            is_complete = False
            while not is_complete:
                count += 1
                spec = make_spec()
                checkpoint = (await start(provider, spec, count))[-1]
                stopper = provider if count % 2 else self.another(provider)
                await stopper.stop(checkpoint, 0.0)
                await self.assert_gone(provider, spec.label, checkpoint)
                is_complete = bool(checkpoint.get("complete"))

        self.run(check())

    def test_incomplete_checkpoint_stops_a_job_that_runs(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """A process may die after a side effect and before the next checkpoint's commit."""

        async def check() -> None:
            spec = make_spec()
            checkpoints = await start(provider, spec)
            for checkpoint in checkpoints[:-1]:
                with pytest.raises(ProviderError):
                    await provider.endpoint(checkpoint)
            other = self.another(provider)
            (status,) = await other.poll([checkpoints[0]])
            assert not status.state.is_over
            await other.stop(checkpoints[0], 5.0)
            await self.assert_gone(provider, spec.label, checkpoints[-1])

        self.run(check())

    def test_recover_finds_a_job_from_its_label_alone(
        self, provider: Provider, make_spec: SpecMaker
    ) -> None:
        """All memory is lost; what the engine says is enough to use and to stop the job."""

        async def check() -> None:
            spec = make_spec()
            before = await self.start_running(provider, spec)
            url = (await provider.endpoint(before)).url
            await status_line(url, self.ready_s)
            other = self.another(provider)
            found = await other.recover(spec.label, self.options)
            assert len(found) == 1
            assert json.loads(json.dumps(dict(found[0]))) == found[0]
            assert found[0]["complete"] is True
            # Where a tunnel leads to the agent, each process has one of its own.
            again = (await other.endpoint(found[0])).url
            assert await status_line(again, self.ready_s) == "HTTP/1.1 403 Forbidden"
            (status,) = await other.poll(found)
            assert status.state is JobState.RUNNING
            await other.stop(found[0], 5.0)
            await self.assert_gone(provider, spec.label, before)

        self.run(check())

    def test_recover_of_an_unknown_label_is_empty(self, provider: Provider) -> None:
        """No job, no checkpoint, no error."""
        found = self.run(provider.recover(f"jrk-{secrets.token_hex(8)}", self.options))
        assert found == []

    def test_two_jobs_are_independent(self, provider: Provider, make_spec: SpecMaker) -> None:
        """Started at once; the end of one is nothing to the other."""

        async def check() -> None:
            specs = [make_spec(), make_spec()]
            first, second = await asyncio.gather(
                *(self.start_running(provider, spec) for spec in specs)
            )
            urls = [(await provider.endpoint(item)).url for item in (first, second)]
            assert urls[0] != urls[1]
            await provider.stop(first, 5.0)
            await self.assert_gone(provider, specs[0].label, first)
            assert await status_line(urls[1], self.ready_s) == "HTTP/1.1 403 Forbidden"

        self.run(check())

    def test_refused_start_leaves_nothing(self, provider: Provider, make_spec: SpecMaker) -> None:
        """The engine's refusal is a provider error, and ``stop`` is still fine after it."""
        options = self.refused_options
        if options is None:
            return  # this engine takes whatever it is given

        async def check() -> None:
            spec = make_spec()
            refused = JobSpec(**{**vars(spec), "options": options})
            committed: list[Checkpoint] = []
            with pytest.raises(ProviderError) as caught:
                await collect(provider, refused, committed)
            assert str(spec.agent_settings["token"]) not in repr(caught.value)
            assert not any(item.get("complete") for item in committed)
            for checkpoint in committed:
                await provider.stop(checkpoint, 0.0)
            assert await provider.recover(spec.label, self.options) == []
            assert not self.survivors(spec.label)

        self.run(check())
