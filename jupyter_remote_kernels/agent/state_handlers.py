"""The agent's routes for the kernel's state. Bodies of any size pass through in constant memory.

Whoever hangs up cancels. What goes wrong after a response has begun stands in a trailer behind it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_remote_kernels.agent.handlers import TokenHandler, http_status
from jupyter_remote_kernels.agent.http_exchange import Exchange
from jupyter_remote_kernels.errors import AgentError, InvalidInput, RemoteKernelsError
from jupyter_remote_kernels.exchange.call import encode_command
from jupyter_remote_kernels.protocol.http_bodies import find_body

if TYPE_CHECKING:
    from collections.abc import Coroutine


@web.stream_request_body
class StateHandler(TokenHandler):
    """Base of the routes: takes the connection over once it is known who asks."""

    exchange: Exchange

    def prepare(self) -> None:
        super().prepare()
        method = getattr(self, str(self.request.method).lower())
        if method.__func__ is getattr(web.RequestHandler, method.__name__):
            raise web.HTTPError(405)
        headers = self.request.headers
        body = find_body(headers.get("Transfer-Encoding"), headers.get("Content-Length"))
        self.exchange = Exchange(self.detach(), body)
        self.session.state.begin(self._serve(method()))

    def data_received(self, chunk: bytes) -> None:
        """Ignore the body of one who was refused."""

    async def _serve(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it runs in one
        exchange = self.exchange
        try:
            with exchange.watch(task.cancel):
                try:
                    await work
                except RemoteKernelsError as error:
                    body = {"reason": error.reason, "message": error.message, "hint": error.hint}
                    await exchange.refuse(http_status(error), body)
                await exchange.close()
        except StreamClosedError:
            return  # nobody is there to hear how it went
        finally:
            exchange.abort()

    async def _ask_kernel(self, operation: str) -> None:
        """Have one thing done that takes and gives a JSON object."""
        asked = await self.exchange.read_json()
        names, target = _check_names(asked.get("names")), asked.get("target")
        async with self.session.state.call(self.exchange.is_gone, is_question=True) as call:
            await call.send(encode_command(operation, names=names, target=target))
            answer = await call.receive_answer()
        await self.exchange.answer(200, answer)


class VariablesHandler(StateHandler):
    """The kernel's variables: name, type, size, a short preview, and what cannot be carried."""

    async def post(self) -> None:
        await self._ask_kernel("variables")


class DescriptionHandler(StateHandler):
    """What another kernel has to know of this one before it sends something."""

    async def post(self) -> None:
        await self._ask_kernel("describe")


class PlanHandler(StateHandler):
    """What a capture would carry, and what not and why."""

    async def post(self) -> None:
        await self._ask_kernel("plan")


class CaptureHandler(StateHandler):
    """Read the kernel's state: a stream of records."""

    async def post(self) -> None:
        exchange = self.exchange
        async with self.session.state.call(self.exchange.is_gone) as call:
            await call.feed(exchange.read())
            await call.send(encode_command("go"))
            size = await call.receive_into(exchange.room)
            if size:
                await exchange.begin()
            while size:
                await exchange.send_room(size)
                size = await call.receive_into(exchange.room)
            await call.finish()
        if not exchange.has_begun:
            raise AgentError("the kernel gave nothing of its state", reason="capture_failed")
        await exchange.end()


class RestoreHandler(StateHandler):
    """Write the kernel's state from a stream of records."""

    async def put(self) -> None:
        async with self.session.state.call(self.exchange.is_gone) as call:
            await call.feed(self.exchange.read())
            answer = await call.receive_answer()
        await self.exchange.answer(200, answer)


def _check_names(names: Any) -> list[str] | None:
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is not None and not is_list:
        raise InvalidInput("names: must be a list of texts, or null")
    return names if is_list else None
