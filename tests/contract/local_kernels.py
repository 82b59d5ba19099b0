"""Ordinary kernels of this machine, and what is asked of their state, as a server asks it."""

from __future__ import annotations

import asyncio
import contextlib

import zmq
from jupyter_client.manager import start_new_kernel

from jupyter_remote_kernels.exchange.local import LocalCalls, LocalKernel
from jupyter_remote_kernels.exchange.turns import Turns
from jupyter_remote_kernels.protocol.state_stream import encode_json

TIMEOUT_S = 60
START_TIMEOUT_S = 15
_STARTS = 3


class Kernel:
    """One kernel with a client.

    Parameters
    ----------
    name : str
        Of its kernelspec.
    context : zmq.Context
        For the calls.
    """

    def __init__(self, name, context):
        self.manager, self.client = _start(name)
        self.pid = self.manager.provisioner.pid
        url = f"tcp://{self.manager.ip}:{self.manager.shell_port}"
        key = self.manager.session.key.decode()
        self.calls = LocalCalls(LocalKernel(name, url, key, self.pid), context, Turns())

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.context.destroy(linger=0)

    def run(self, code):
        """Run a cell, which must not fail, and return what it printed."""
        said = []

        def hook(message):
            content = message["content"]
            said.append(str(content.get("text") or content.get("evalue") or ""))

        reply = self.client.execute_interactive(code, timeout=TIMEOUT_S, output_hook=hook)
        assert reply["content"]["status"] == "ok", "".join(said)
        return "".join(said)


class Kernels:
    """Starts kernels and moves variables between them."""

    def __init__(self):
        self._context = zmq.Context()
        self._started = []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for kernel in self._started:
            kernel.close()
        self._context.destroy(linger=0)

    def start(self, name):
        kernel = Kernel(name, self._context)
        self._started.append(kernel)
        return kernel

    def ask(self, coroutine):
        return asyncio.run(asyncio.wait_for(coroutine, TIMEOUT_S))

    def move(self, source, target, names=None, on_conflict="replace"):
        """Move variables; return the target's report and the stream."""
        return self.ask(_move(source.calls, target.calls, names, on_conflict))


def _start(name):
    """Start a kernel; another program may be faster to take the ports that were free."""
    for _ in range(_STARTS - 1):
        with contextlib.suppress(RuntimeError):
            return start_new_kernel(kernel_name=name, startup_timeout=START_TIMEOUT_S)
    return start_new_kernel(kernel_name=name)


async def _move(source, target, names, on_conflict):
    described = await target.describe()
    facts = {key: value for key, value in described.items() if key not in ("type", "names")}
    chosen = (await source.describe())["names"] if names is None else names
    stream = bytearray()
    details = {"names": chosen, "session": False}
    command = encode_json({"op": "capture", "hash": "none", "target": facts, **details})

    async def body():
        yield encode_json({"op": "restore", "on_conflict": on_conflict, **details})
        async for piece in source.capture(command):
            stream.extend(piece)
            yield bytes(piece)

    return await target.restore(body()), bytes(stream)
