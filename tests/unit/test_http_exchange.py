"""The agent's side of an exchange whose bodies are streams."""

from __future__ import annotations

import asyncio
import socket

from tornado.iostream import IOStream

from jupyter_remote_kernels.agent.http_exchange import Exchange
from jupyter_remote_kernels.protocol.http_bodies import find_body


def test_end_of_the_other_side_is_told_once():
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            other = socket.create_connection(listener.getsockname())
            connection, _ = listener.accept()
        exchange = Exchange(IOStream(connection), find_body(None, None))
        told = asyncio.Event()
        count = 0

        def on_gone():
            nonlocal count
            count += 1
            told.set()

        with exchange.watch(on_gone):
            other.close()
            await told.wait()
            # The stream sees it later: whoever cleans up by then must not be disturbed again.
            exchange.abort()
            closed = asyncio.Event()
            asyncio.get_running_loop().call_soon(closed.set)
            await closed.wait()
        assert count == 1

    asyncio.run(scenario())
