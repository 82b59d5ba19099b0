"""REST routes that know every kernel of the server: variables, transfers."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels.control.restoring import ON_CONFLICT, Choice
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler
from jupyter_remote_kernels.jupyter.state_handlers import AskingHandler


class KernelVariablesHandler(AskingHandler):
    """The variables of any kernel, a runtime's or an ordinary one's."""

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        await self.answer(self.runtimes.transfers.list_variables(kernel_id))


class TransfersHandler(RemoteKernelsHandler):
    """Variables from one kernel for another."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        body = self.read_body({"source", "target", "variables", "on_conflict"})
        requests.check_present(self.request.body)
        source = requests.read_text(body, "source", required=True)
        target = requests.read_text(body, "target", required=True)
        choice = Choice(
            requests.read_names(body, "variables"),
            requests.read_one_of(body, "on_conflict", ON_CONFLICT),
        )
        operation = await self.runtimes.transfers.transfer(str(source), str(target), choice)
        self.reply(self.runtimes.describe_operation(operation), 202)
