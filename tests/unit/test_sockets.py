"""What the link and the agent share to wait for each other's ends."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.sockets import run_to_end


class TestRunToEnd:
    def test_cancelled_more_than_once(self):
        async def scenario():
            begun, may_end, ended = asyncio.Event(), asyncio.Event(), False

            async def work():
                nonlocal ended
                begun.set()
                await may_end.wait()
                ended = True

            running = asyncio.ensure_future(run_to_end(work()))
            await begun.wait()
            for _ in range(2):
                running.cancel()
                await asyncio.wait({running}, timeout=0)
                assert not running.done()
            may_end.set()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert ended

        asyncio.run(scenario())

    def test_what_it_raises_is_raised(self):
        async def fail():
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            asyncio.run(run_to_end(fail()))
