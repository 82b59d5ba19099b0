"""Starting real jobs for the contract suite of providers, and asking their agents."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import pytest

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers.base import Checkpoint, JobSpec, JobState, JobStatus, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from pathlib import Path

Result = TypeVar("Result")

SLEEPER = "import time; time.sleep(600)"


class SpecMaker(Protocol):
    """What the fixture ``make_spec`` gives: a new label and directory at each call."""

    def __call__(self, program: str = SLEEPER, **settings: Any) -> JobSpec:
        """Return a spec whose kernel runs a Python program; more goes to the agent."""


class ProviderJobs:
    """Set-up and waiting of the contract suite.

    Attributes
    ----------
    python : str
        The interpreter for the kernels, as the jobs see it.
    options : mapping
        Provider options that work.
    refused_options : mapping or None
        Provider options that make the engine refuse a job; None where there are none.
    resources : Resources
        Limits to ask for.
    ready_s : float
        How long a job may take until its agent answers, in seconds.
    """

    python: str = sys.executable
    options: Mapping[str, Any] = {}
    refused_options: Mapping[str, Any] | None = None
    resources: Resources = Resources()
    ready_s: float = 30.0

    @pytest.fixture
    def provider(self) -> Provider:
        """Return the provider under test; its constructor must not need a running loop."""
        raise NotImplementedError("give the fixture 'provider' in your class")

    def forget(self, provider: Provider) -> Provider:
        """Return another provider on the same engine, as after the death of this process."""
        return type(provider)()

    def another(self, provider: Provider) -> Provider:
        """Return what ``forget`` gives; it is closed with the first one."""
        self._providers.append(self.forget(provider))
        return self._providers[-1]

    @pytest.fixture(autouse=True)
    def _keep_providers(self, provider: Provider) -> None:
        self._providers = [provider]

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on a loop of its own, at whose end all providers let go."""

        async def run() -> Result:
            try:
                return await call
            finally:
                for provider in self._providers:
                    await provider.close()

        return asyncio.run(run())

    def command(self, program: str) -> list[str]:
        """Return the kernel's command that runs a Python program."""
        return [self.python, "-c", program]

    def survivors(self, label: str) -> Sequence[object]:
        """Return what is left of a job, looked up without the provider; nothing by default."""
        del label
        return ()

    @pytest.fixture
    def make_spec(self, provider: Provider, tmp_path: Path) -> Iterator[SpecMaker]:
        """Give a maker of specs; at the end, stop everything that was made."""
        made: list[JobSpec] = []

        def make(program: str = SLEEPER, **settings: Any) -> JobSpec:
            runtime_id = secrets.token_hex(8)
            directory = tmp_path / runtime_id
            directory.mkdir(mode=0o700)
            agent_settings = {
                "version": __version__,
                "runtime_id": runtime_id,
                "token": secrets.token_hex(16),
                "argv": self.command(program),
                "directory": str(directory),
                **settings,
            }
            made.append(
                JobSpec(
                    label=f"jrk-{runtime_id}",
                    runtime_id=runtime_id,
                    directory=str(directory),
                    agent_settings=agent_settings,
                    resources=self.resources,
                    options=self.options,
                )
            )
            return made[-1]

        yield make
        self.run(self.stop_all(provider, [spec.label for spec in made]))

    async def start_running(self, provider: Provider, spec: JobSpec) -> Checkpoint:
        checkpoint = (await start(provider, spec))[-1]
        status = await self.wait(
            provider, checkpoint, lambda item: item.state is JobState.RUNNING or item.state.is_over
        )
        assert status.state is JobState.RUNNING, status
        return checkpoint

    async def wait(
        self, provider: Provider, checkpoint: Checkpoint, is_enough: Callable[[JobStatus], bool]
    ) -> JobStatus:
        deadline_s = time.monotonic() + self.ready_s
        while True:
            (status,) = await provider.poll([checkpoint])
            if is_enough(status):
                return status
            assert time.monotonic() < deadline_s, status
            # An engine sends no events through this interface: asking again is the only way.
            await asyncio.sleep(0.05)

    async def read_answer(
        self,
        provider: Provider,
        spec: JobSpec,
        checkpoint: Checkpoint,
        route: str,
        is_enough: Callable[[str], bool],
    ) -> str:
        """Ask the agent until its answer is what is expected, and return that."""
        url = (await provider.endpoint(checkpoint)).url
        token = str(spec.agent_settings["token"])
        deadline_s = time.monotonic() + self.ready_s
        while True:
            answer = await ask(url, f"/api/remote-kernels/{route}", self.ready_s, token)
            if is_enough(answer):
                return answer
            assert time.monotonic() < deadline_s, answer
            await asyncio.sleep(0.05)  # these routes have no events

    async def stop_all(self, provider: Provider, labels: Sequence[str]) -> None:
        for label in labels:
            for checkpoint in await provider.recover(label, self.options):
                await provider.stop(checkpoint, 0.0)

    async def assert_gone(self, provider: Provider, label: str, checkpoint: Checkpoint) -> None:
        (status,) = await provider.poll([checkpoint])
        assert status.state.is_over, status
        assert await provider.recover(label, self.options) == []
        assert not self.survivors(label)


async def start(provider: Provider, spec: JobSpec, count: int | None = None) -> list[Checkpoint]:
    """Start a job and return its checkpoints; give the launch up after ``count`` of them."""
    checkpoints: list[Checkpoint] = []
    await collect(provider, spec, checkpoints, count)
    return checkpoints


async def collect(
    provider: Provider, spec: JobSpec, committed: list[Checkpoint], count: int | None = None
) -> None:
    async with contextlib.aclosing(provider.start(spec)) as steps:
        async for checkpoint in steps:
            committed.append(checkpoint)
            if len(committed) == count:
                return


async def status_line(url: str, timeout_s: float) -> str:
    """Ask without a token and return the answer's first line."""
    return (await ask(url, "/api/kernels", timeout_s)).partition("\r\n")[0]


async def ask(url: str, path: str, timeout_s: float, token: str = "") -> str:
    """Send a request, again until somebody listens, and return the whole answer."""
    parts = urlsplit(url)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Authorization: token {token}\r\n\r\n"
    )
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline_s, f"nobody listens at {url}"
            await asyncio.sleep(0.05)  # nothing tells when a port is open
            continue
        try:
            writer.write(request.encode())
            return (await asyncio.wait_for(reader.read(), timeout_s)).decode()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
