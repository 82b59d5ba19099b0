"""A Jupyter server as a process of its own, as a user starts it."""

from __future__ import annotations

import asyncio
import re
import sys

from tornado.httpclient import AsyncHTTPClient
from tornado.simple_httpclient import HTTPStreamClosedError

from tests.server.api import Api

TOKEN = "for-the-test"


class ServerProcess:
    """A running ``jupyter server``."""

    def __init__(self, process):
        self.process = process
        self.log = []
        self.api = None
        self._reading = None

    async def read_until(self, pattern):
        """Read the server's log up to a line."""
        while line := (await self.process.stderr.readline()).decode():
            self.log.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError("".join(self.log))

    async def answers(self):
        """Tell whether it can be asked already."""
        try:
            return await self.api.fetch("GET", "/api/status")
        except (ConnectionError, HTTPStreamClosedError):
            # Before it listens for good, it tries the port and closes it again.
            return None

    def keep_reading(self):
        """Read the log from now on: a server that cannot write it any more stands still."""
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self):
        async for line in self.process.stderr:
            self.log.append(line.decode())

    async def end(self, signum):
        """Send a signal and wait; returns the exit status."""
        self.process.send_signal(signum)
        status = await self.process.wait()
        await self._reading
        return status


async def start_process(root_dir, *arguments):
    """Start a server with our extension and wait until it answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"),
        *("--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={TOKEN}"),
        "--ServerApp.jpserver_extensions=jupyter_remote_kernels=True",
        f"--ServerApp.root_dir={root_dir}",
        "--RemoteKernels.on_server_stop=terminate",
        *arguments,
        stderr=asyncio.subprocess.PIPE,
    )
    server = ServerProcess(process)
    url = (await server.read_until(r"http://127\.0\.0\.1:\d+")).group()
    server.api = Api(AsyncHTTPClient(), url, {"Authorization": f"token {TOKEN}"})
    while not await server.answers():  # noqa: ASYNC110 - nothing tells when the port is open
        await asyncio.sleep(0.05)
    server.keep_reading()
    return server
