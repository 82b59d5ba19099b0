"""Jobs over SSH for tests, without any server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import time

import pytest

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.protocol.settings import AgentSettings
from jupyter_remote_kernels.providers.base import JobSpec
from jupyter_remote_kernels.providers.ssh import SshProvider
from jupyter_remote_kernels.testing.provider_jobs import ask, collect

KERNEL = ("{python}", "-m", "ipykernel_launcher", "-f", "{connection_file}")
SLEEPER = ("{python}", "-c", "import time; time.sleep(600)")


class SshJobs:
    """Starts jobs with one provider and ends them all; use it as an asynchronous context."""

    def __init__(self, options):
        self.options = {"python": sys.executable, **options}
        self.provider = SshProvider()
        self._specs = []
        self._started = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        with contextlib.suppress(ProviderError):  # a test may leave the host down
            for spec in self._started:
                for found in await self.provider.recover(spec.label, spec.options):
                    await self.provider.stop(found, 0.0)
        await self.provider.close()

    def spec(self, *, argv=SLEEPER, resources=None, env=None, **options):
        """Return a spec; options with the value None are left out."""
        runtime_id = secrets.token_hex(8)
        settings = AgentSettings(
            version=__version__,
            runtime_id=runtime_id,
            token=secrets.token_hex(16),
            argv=list(argv),
            directory="/nowhere",
            env=env or {},
        )
        chosen = {**self.options, **options}
        more = {} if resources is None else {"resources": resources}
        self._specs.append(
            JobSpec(
                label=f"jrk-{runtime_id}",
                runtime_id=runtime_id,
                directory="/nowhere",
                agent_settings=settings.to_json(),
                options={key: value for key, value in chosen.items() if value is not None},
                **more,
            )
        )
        return self._specs[-1]

    async def start(self, spec=None, **options):
        """Start a job and return its last checkpoint."""
        spec = spec or self.spec(**options)
        self._started.append(spec)
        return [each async for each in self.provider.start(spec)][-1]

    async def refused(self, limit_s=10.0, **options):
        """Return the error with which a start is refused; it must come soon."""
        begun_s = time.monotonic()
        spec = self.spec(**options)
        committed = []
        with pytest.raises(ProviderError) as caught:
            await collect(self.provider, spec, committed)
        assert time.monotonic() - begun_s < limit_s
        assert caught.value.message
        assert caught.value.hint
        assert str(spec.agent_settings["token"]) not in repr(caught.value)
        for checkpoint in committed:
            await self.provider.stop(checkpoint, 0.0)
        return caught.value

    async def ask(self, checkpoint, route="status"):
        """Ask the agent of a job; returns its answer as JSON."""
        spec = next(each for each in self._specs if each.label == checkpoint["label"])
        url = (await self.provider.endpoint(checkpoint)).url
        token = str(spec.agent_settings["token"])
        text = await ask(url, f"/api/remote-kernels/{route}", 20, token)
        return json.loads(text.partition("\r\n\r\n")[2])

    async def until_over(self, checkpoint):
        """Wait until a job is over; returns its status."""
        while True:
            (status,) = await self.provider.poll([checkpoint])
            if status.state.is_over:
                return status
            await asyncio.sleep(0.05)  # an engine sends no events


def run(place, work, **options):
    """Run ``work(jobs)`` with jobs on a place."""

    async def call():
        async with SshJobs({**place.options, **options}) as jobs:
            return await work(jobs)

    return asyncio.run(call())


def far_files(home):
    """Return the names of what lies below a host's directory of jobs."""
    folder = home / ".cache" / "jupyter_remote_kernels"
    if not folder.exists():
        return []
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
