"""REST routes of the outputs that are kept for cells."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler

_LARGEST_OFFSET = 2**53


class ExecutionsHandler(RemoteKernelsHandler):
    """All executions of a runtime whose outputs are kept."""

    @web.authenticated
    @authorized
    async def get(self, runtime_id: str) -> None:
        driver = self.runtimes.find(runtime_id)
        self.reply({"executions": await self.runtimes.executions.list_kept(driver)})


class ExecutionHandler(RemoteKernelsHandler):
    """The messages of one execution, in pages."""

    @web.authenticated
    @authorized
    async def get(self, runtime_id: str, msg_id: str) -> None:
        driver = self.runtimes.find(runtime_id)
        offset = requests.read_number(
            self.get_query_argument("offset", "0"), "offset", _LARGEST_OFFSET
        )
        self.reply(await self.runtimes.executions.read(driver, msg_id, offset))

    @web.authenticated
    @authorized
    async def delete(self, runtime_id: str, msg_id: str) -> None:
        driver = self.runtimes.find(runtime_id)
        await self.runtimes.executions.forget(driver, msg_id)
        self.set_status(204)
        self.finish()
