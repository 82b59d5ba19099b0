"""Runs the agent's HTTP server until the session ends."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import TYPE_CHECKING

from tornado import httpserver, netutil, web

from jupyter_remote_kernels.agent.memory import return_large_blocks
from jupyter_remote_kernels.agent.routes import make_routes
from jupyter_remote_kernels.agent.session import AgentSession
from jupyter_remote_kernels.agent.websocket import ChannelsHandler

if TYPE_CHECKING:
    from jupyter_remote_kernels.agent.kernel_process import KernelProcess
    from jupyter_remote_kernels.protocol.settings import AgentSettings

# Messages have no limit of ours; this is only what one frame's length can say.
_NO_LIMIT = 2**62
# A body is read before anybody has asked for its sender's token.
_BODY_LIMIT_BYTES = 2**20


def listen(settings: AgentSettings) -> list[socket.socket]:
    """Return the listening sockets: the launcher's, or new ones."""
    if settings.listen_fd is not None:
        inherited = socket.socket(fileno=settings.listen_fd)
        inherited.setblocking(False)
        os.set_inheritable(settings.listen_fd, False)
        return [inherited]
    return netutil.bind_sockets(settings.port, settings.host)


def announce(settings: AgentSettings, sockets: list[socket.socket]) -> None:
    """Write where the agent listens, for providers that cannot know it before."""
    host, port = sockets[0].getsockname()[:2]
    path = os.path.join(settings.directory, "agent.json")
    content = {"host": host, "port": port, "pid": os.getpid(), "runtime_id": settings.runtime_id}
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    # A reader sees the whole file or none.
    os.replace(path + ".new", path)


async def serve(settings: AgentSettings, kernel: KernelProcess) -> str:
    """Serve until the session ends, then stop the kernel.

    Returns
    -------
    str
        Why the session ended.
    """
    return_large_blocks()
    session = AgentSession(settings, kernel)
    application = web.Application(
        make_routes(session, ChannelsHandler),
        websocket_max_message_size=_NO_LIMIT,
        log_function=lambda handler: None,
    )
    server = httpserver.HTTPServer(
        application, max_buffer_size=_NO_LIMIT, max_body_size=_BODY_LIMIT_BYTES
    )
    sockets = listen(settings)
    server.add_sockets(sockets)
    if settings.listen_fd is None:
        announce(settings, sockets)
    session.begin()
    try:
        await session.ended.wait()
    finally:
        server.stop()
        await session.close()
    return session.ending.cause["message"] if session.ending else "its task was cancelled"


def run(settings: AgentSettings, kernel: KernelProcess) -> str:
    """Run the agent on a loop of its own."""
    return asyncio.run(serve(settings, kernel))
