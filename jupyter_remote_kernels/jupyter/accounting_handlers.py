"""REST routes of usage, estimates and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.launch_options import read_lease
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler
from jupyter_remote_kernels.model.volumes import check_volume_name

if TYPE_CHECKING:
    from jupyter_remote_kernels.jupyter.accounting import Accounting

_LONGEST_DAYS = 3660


class _AccountingHandler(RemoteKernelsHandler):
    """What these routes share."""

    @property
    def accounting(self) -> Accounting:
        """The use cases."""
        return self.runtimes.accounting


class UsageHandler(_AccountingHandler):
    """What has been used, and what is left."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        days = requests.read_number(self.get_query_argument("days", "30"), "days", _LONGEST_DAYS)
        self.reply(await self.accounting.describe_usage(max(1, days)))


class EstimatesHandler(_AccountingHandler):
    """What a launch would get and could cost."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        body = self.read_body({"environment", "lease_s"})
        name = requests.read_text(body, "environment", required=True)
        environment = self.runtimes.get_environment(str(name))
        self.reply(await self.accounting.estimate(environment, read_lease(body)))


class VolumesHandler(_AccountingHandler):
    """All volumes."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply({"volumes": await self.accounting.describe_volumes()})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        body = self.read_body({"name"})
        name = check_volume_name(requests.read_text(body, "name", required=True))
        volume = await self.accounting.create_volume(name)
        self.runtimes.tell_all("volumes")
        self.reply(volume, 201)


class VolumeHandler(_AccountingHandler):
    """One volume."""

    @web.authenticated
    @authorized
    async def delete(self, name: str) -> None:
        await self.accounting.delete_volume(name)
        self.runtimes.tell_all("volumes")
        self.set_status(204)
        self.finish()
