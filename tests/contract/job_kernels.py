"""Kernels of local jobs, forked or spawned, asked over their own connection files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from jupyter_client import BlockingKernelClient

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.protocol.settings import AgentSettings
from jupyter_remote_kernels.providers.base import JobSpec
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.processes import look_at

LAUNCHER = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
LIMIT_S = 30


async def prepare_nursery(provider, env=None):
    """Start the nursery of an environment and wait for it; the provider itself never does."""
    await provider.prepare([Environment.from_json("python", {"env": env or {}})])
    while provider._nurseries.find(sys.executable, {})[0] is None:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)


def list_nurseries(provider):
    return list(provider._nurseries._running.values())


class JobKernel:
    """One job of the local provider with a Python kernel, used without any server."""

    def __init__(self, provider, *, env=None, cwd=None, argv=LAUNCHER, fork=True):
        self.provider = provider
        self.label = f"jrk-{secrets.token_hex(8)}"
        self.token = secrets.token_hex(16)
        # A short path: the sockets lie there too.
        self.directory = tempfile.mkdtemp(prefix="jrk-test-")
        settings = AgentSettings(
            version=__version__,
            runtime_id=self.label,
            token=self.token,
            argv=list(argv),
            directory=self.directory,
            env=env or {},
            cwd=cwd,
        )
        self.spec = JobSpec(
            label=self.label,
            runtime_id=self.label,
            directory=self.directory,
            agent_settings=settings.to_json(),
            fork=fork,
        )
        self.client = None
        self.checkpoint = None

    async def start(self):
        self.checkpoint = [each async for each in self.provider.start(self.spec)][-1]
        return self

    @property
    def agent_pid(self):
        return self.checkpoint["pid"]

    @property
    def kernel_pid(self):
        return self.ask("remote-kernels/status")["kernel_pid"]

    def ask(self, route, body=None):
        """Ask the agent; a POST when there is a body."""
        port = self.checkpoint["port"]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/{route}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=LIMIT_S) as response:  # noqa: S310 - our agent
            text = response.read()
        return json.loads(text) if text else None

    def act(self, action):
        """Interrupt or restart the kernel."""
        return self.ask(f"kernels/{self.label}/{action}", {})

    def connect(self, generation=1):
        """Connect to a generation of the kernel, as soon as it is there."""
        self.disconnect()
        path = Path(self.directory) / f"k{generation}.json"
        until(lambda: path.exists() and path.read_text().endswith("}"))
        self.client = BlockingKernelClient(connection_file=str(path))
        self.client.load_connection_file()
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=LIMIT_S)
        return self

    def disconnect(self):
        if self.client is not None:
            self.client.stop_channels()
            self.client = None

    def run(self, code, **options):
        """Run a cell; returns its reply's content and all its outputs."""
        outputs = []
        reply = self.client.execute_interactive(
            code, timeout=LIMIT_S, output_hook=outputs.append, **options
        )
        return reply["content"], outputs

    def value(self, code):
        """Run statements whose last one is ``result = …``, and return that as JSON."""
        reply, outputs = self.run(f"{code}\nimport json as _json; print(_json.dumps(result))")
        assert reply["status"] == "ok", reply
        text = "".join(each["content"].get("text", "") for each in outputs)
        return json.loads(text)

    def stop(self):
        self.disconnect()
        asyncio.run(self.provider.stop({"label": self.label}, 0.0))
        shutil.rmtree(self.directory, ignore_errors=True)


def start_kernel(provider, **options):
    # With this variable ipykernel leaves out what it thinks a test would not want.
    hidden = os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        return asyncio.run(JobKernel(provider, **options).start())
    finally:
        if hidden is not None:
            os.environ["PYTEST_CURRENT_TEST"] = hidden


def is_forked(provider, pid):
    """Tell whether a nursery of this provider is the parent of an agent."""
    parent = look_at(pid).parent_pid
    return parent in [nursery.pid for nursery in list_nurseries(provider)]


def until(is_so, limit_s=LIMIT_S):
    deadline_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # what other processes do has no events


@contextlib.contextmanager
def nursery_provider(env=None):
    """Hold a provider with a nursery that is ready."""
    provider = LocalProvider()
    asyncio.run(prepare_nursery(provider, env))
    try:
        yield provider
    finally:
        asyncio.run(provider.prepare([]))
