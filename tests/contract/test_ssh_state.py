"""State of a kernel on another host: the agent that was sent along reads it, through the tunnel."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from jupyter_remote_kernels.errors import Conflict
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.protocol.state_stream import StreamReader, encode_json
from tests.contract.agents import LIMIT_S, ROOT, Cells
from tests.contract.ssh_jobs import KERNEL, SshJobs

PYTHON39 = ROOT / ".cache" / "python39" / "bin" / "python"
COMMAND = encode_json({"op": "capture", "names": None, "hash": "none"})


async def run(agent, code):
    async with Cells.of(agent) as cells:
        assert (await cells.reply(cells.run(code)))["status"] == "ok"


class Far:
    """A kernel on a host with nothing but ipykernel and an old Python."""

    def __init__(self, client):
        self.client = client


@pytest.fixture
def use(sshd):
    if not PYTHON39.exists():
        pytest.skip("scripts/test makes a Python 3.9 with ipykernel")

    def begin(work):
        async def main():
            async with SshJobs({**sshd.options, "python": str(PYTHON39)}) as jobs:
                spec = jobs.spec(argv=KERNEL)
                checkpoint = await jobs.start(spec)
                endpoint = await jobs.provider.endpoint(checkpoint)
                token = str(spec.agent_settings["token"])
                client = AgentClient(endpoint, spec.runtime_id, token)
                try:
                    await work(Far(client))
                finally:
                    client.close()

        asyncio.run(asyncio.wait_for(main(), LIMIT_S))

    return begin


def test_capture_and_restore_through_the_tunnel(use):
    async def work(agent):
        await run(
            agent, "import os; data = bytearray(os.urandom(20_000_000)); before = bytes(data)"
        )
        pieces = [bytes(piece) async for piece in agent.client.capture(COMMAND)]
        reader = StreamReader()
        records = [record for piece in pieces for record in reader.feed(piece)]
        assert records[-1].value["type"] == "end"
        await run(agent, "del data")

        async def body():
            yield encode_json({"op": "restore", "names": ["data"], "on_conflict": "replace"})
            for piece in pieces:
                yield piece

        answer = await agent.client.restore(body())
        assert answer["restored"] == ["data"]
        await run(agent, "assert bytes(data) == before")

    use(work)


def test_whoever_hangs_up_cancels_through_the_tunnel_too(use):
    async def work(agent):
        await run(agent, "data = bytearray(200_000_000)")
        for _ in range(2):
            async with aclosing(agent.client.capture(COMMAND)) as stream:
                await anext(stream)
            while True:
                # A tunnel takes its time to pass on that somebody has gone.
                try:
                    await agent.client.variables(["data"])
                except Conflict:
                    await asyncio.sleep(0.05)
                else:
                    break
        await run(agent, "assert len(data) == 200_000_000")

    use(work)
