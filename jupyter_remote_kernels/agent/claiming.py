"""Making a warm kernel somebody's: its directory and variables are set, once."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zmq

from jupyter_remote_kernels.errors import Conflict, InvalidInput, KernelStartFailed
from jupyter_remote_kernels.protocol.messages import Composer, unpack
from jupyter_remote_kernels.protocol.signing import DELIMITER, Signer
from jupyter_remote_kernels.sockets import Message, SocketPump

if TYPE_CHECKING:
    from jupyter_remote_kernels.agent.session import AgentSession

_LIMIT_S = 5.0
# Runs in a namespace of its own, so that it leaves no name behind.
_APPLY = """
import json, os, pathlib, sys
from IPython import get_ipython
env, cwd = json.loads({arguments!r})
os.environ.update(env)
shell = get_ipython()
if "JPY_SESSION_NAME" in env:
    shell.user_ns["__session__"] = env["JPY_SESSION_NAME"]
if cwd and os.path.isdir(cwd):
    os.chdir(cwd)
    shell.history_manager.dir_hist[:] = [pathlib.Path.cwd()]
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.ORIGINAL_DIR = os.getcwd()
"""


async def claim(session: AgentSession, body: dict[str, Any]) -> None:
    """Make this agent and its kernel those of a runtime.

    Parameters
    ----------
    session : AgentSession
        Started warm, and not claimed yet.
    body : dict
        ``runtime_id``, ``env``, ``cwd``, ``lease_s``, ``silence_s``, and the two policies.

    Raises
    ------
    Conflict
        When it is somebody's already, or has no kernel.
    InvalidInput
        When the body lacks something.
    KernelStartFailed
        When the kernel does not take its new directory and variables.
    """
    try:
        runtime_id, env, cwd = str(body["runtime_id"]), dict(body["env"]), body["cwd"]
        lease_s, silence_s = body["lease_s"], float(body["silence_s"])
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("a claim needs runtime_id, env, cwd, lease_s and silence_s") from None
    if not session.settings.warm:
        raise Conflict("this agent belongs to a runtime already", reason="claimed_already")
    if not session.kernel.is_running:
        raise Conflict("no kernel is running", reason="no_kernel")
    # From here on it is taken, whatever happens: a second claim must not get it too.
    session.settings = replace(
        session.settings,
        warm=False,
        runtime_id=runtime_id,
        silence_s=silence_s,
        lease_policy=str(body.get("lease_policy", "terminate")),
        silence_policy=str(body.get("silence_policy", "terminate")),
    )
    session.kernel.env, session.kernel.cwd = env, cwd
    code = _APPLY.format(arguments=json.dumps([env, cwd]))
    try:
        await asyncio.wait_for(_run_silently(session, f"exec({code!r}, {{}})"), _LIMIT_S)
    except asyncio.TimeoutError:
        raise KernelStartFailed("the warm kernel did not answer") from None
    session.begin_lease(lease_s)


async def _run_silently(session: AgentSession, code: str) -> None:
    """Run code in the kernel, without history; on a socket of its own, for one reply."""
    answered: asyncio.Future[dict[str, Any]] = session.loop.create_future()

    def receive(message: Message) -> None:
        start = message.index(DELIMITER) + 2
        if not answered.done() and len(message) >= start + 4:
            answered.set_result(unpack(message[start + 3]))

    socket = session.context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(session.kernel.socket_url("shell"))
    pump = SocketPump(socket, receive, session.loop)
    try:
        composer = Composer("agent-" + os.urandom(8).hex())
        request = {
            "code": code,
            "silent": True,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        parts = composer.compose("execute_request", request)
        pump.send([DELIMITER, Signer(session.kernel.key.encode()).sign(parts), *parts])
        content = await answered
    finally:
        pump.close()
    if content.get("status") != "ok":
        raise KernelStartFailed(f"the warm kernel refused its place: {content.get('evalue')}")
