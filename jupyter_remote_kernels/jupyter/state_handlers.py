"""REST routes of state: pause, resume, variables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels.control.moving import Destination
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.launch_options import read_lease
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler

if TYPE_CHECKING:
    from collections.abc import Coroutine


class PauseHandler(RemoteKernelsHandler):
    """Save a runtime's state and give its machine back."""

    @web.authenticated
    @authorized
    async def post(self, runtime_id: str) -> None:
        self.read_body(set())
        operation = self.runtimes.states.pause(runtime_id)
        self.reply(self.runtimes.describe_operation(operation), 202)


class ResumeHandler(RemoteKernelsHandler):
    """Get a machine for a paused runtime and put its state back."""

    @web.authenticated
    @authorized
    async def post(self, runtime_id: str) -> None:
        self.read_body(set())
        operation = self.runtimes.states.resume(runtime_id)
        self.reply(self.runtimes.describe_operation(operation), 202)


class MoveHandler(RemoteKernelsHandler):
    """Pause a runtime and resume it in another environment."""

    @web.authenticated
    @authorized
    async def post(self, runtime_id: str) -> None:
        driver = self.runtimes.find(runtime_id)
        body = self.read_body({"environment", "lease_s"})
        name = requests.read_text(body, "environment", required=True)
        destination = Destination(self.runtimes.get_environment(str(name)), read_lease(body))
        operation = self.runtimes.moves.move(driver, destination)
        self.reply(self.runtimes.describe_operation(operation), 202)


class AskingHandler(RemoteKernelsHandler):
    """Base of the routes that a busy kernel answers late, if anybody still listens then."""

    _asking: asyncio.Future[None] | None = None

    async def answer(self, variables: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Answer with variables as soon as they are known."""
        self._asking = asyncio.ensure_future(self._answer(variables))
        await asyncio.wait({self._asking})
        if not self._asking.cancelled():
            self._asking.result()  # which raises what went wrong

    def on_connection_close(self) -> None:
        """Called by tornado when the client has hung up."""
        super().on_connection_close()
        if self._asking is not None:
            self._asking.cancel()

    async def _answer(self, variables: Coroutine[Any, Any, dict[str, Any]]) -> None:
        answer = await variables
        keys = ("name", "type", "size_bytes", "preview", "status", "reason", "path", "cell")
        kept = [{key: item.get(key) for key in keys} for item in answer.get("variables", [])]
        self.reply({"variables": kept, "total_bytes": answer.get("total_bytes", 0)})


class VariablesHandler(AskingHandler):
    """The variables of a runtime's kernel, and whether each can be carried."""

    @web.authenticated
    @authorized
    async def get(self, runtime_id: str) -> None:
        await self.answer(self.runtimes.states.list_variables(runtime_id))
