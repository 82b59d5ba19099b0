"""Calls about the state of a kernel that stands in for a real one, through a real agent."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from contextlib import contextmanager

import pytest

from jupyter_remote_kernels.protocol.state_stream import (
    ChunkRecord,
    StreamReader,
    encode_digests,
    encode_json,
)
from tests.contract import state_stand_in
from tests.contract.agents import LIMIT_S, Cells, RunningAgent

STAND_IN = [sys.executable, state_stand_in.__file__, "-f", "{connection_file}"]
MiB = 1 << 20


@pytest.fixture
def use(tmp_path):
    """Start an agent and run a coroutine with it."""

    def run(work, argv=STAND_IN):
        async def main():
            agent = RunningAgent(tmp_path, argv)
            try:
                return await asyncio.wait_for(work(agent), LIMIT_S)
            finally:
                agent.stop()

        return asyncio.run(main())

    return run


def command(operation, *names, digests=()):
    record = encode_json({"op": operation, "names": list(map(str, names)) or None})
    return b"".join([record, *encode_digests(digests)])


async def capture(agent, *names):
    """Capture all; returns the records and the digest of all data."""
    reader = StreamReader()
    digest, size, values = hashlib.sha256(), 0, []
    async for piece in agent.client.capture(command("capture", *names)):
        for record in reader.feed(piece):
            if isinstance(record, ChunkRecord):
                digest.update(record.data)
                size += record.size
            else:
                values.append(record.value)
    assert reader.is_between_records
    return values, size, digest.hexdigest()


def chunks(count, end=True):
    """A body for a restore."""

    async def body():
        yield command("restore", "all")
        for _ in range(count):
            for part in ChunkRecord(bytes(32), state_stand_in.CHUNK).encode():
                yield part
        if end:
            yield encode_json({"type": "end"})

    return body()


def digest_of(count):
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(state_stand_in.CHUNK)
    return digest.hexdigest()


async def is_free(agent):
    """See that the kernel takes a cell and another call."""
    assert await agent.client.variables(["a"]) == {
        "type": "variables",
        "variables": [{"name": "a"}],
    }
    async with Cells.of(agent) as cells:
        assert (await cells.reply(cells.run("6 * 7")))["status"] == "ok"


@contextmanager
def refused(kind, reason):
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.reason == reason
