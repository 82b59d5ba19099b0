"""REST routes of environments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels.errors import InvalidEnvironment
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.problems import describe_problem, http_status
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler
from jupyter_remote_kernels.model.environments import KERNEL_PREFIX

if TYPE_CHECKING:
    from jupyter_remote_kernels.jupyter.environment_store import EnvironmentStore


class _EnvironmentHandler(RemoteKernelsHandler):
    """What both routes share."""

    @property
    def environments(self) -> EnvironmentStore:
        """All environments."""
        found: EnvironmentStore = self.settings["jupyter_remote_kernels_environments"]
        return found


class EnvironmentsHandler(_EnvironmentHandler):
    """All environments, and what is wrong with those that are not offered."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.environments.refresh()
        self.reply(
            {
                "environments": [item.to_json() for item in self.environments.all],
                "problems": [item.to_json() for item in self.environments.problems],
            }
        )


class EnvironmentHandler(_EnvironmentHandler):
    """One environment."""

    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        self.environments.refresh()
        self.reply(self.runtimes.get_environment(name).to_json())

    @web.authenticated
    @authorized
    async def put(self, name: str) -> None:
        body = requests.parse_body(self.request.body)
        requests.check_present(self.request.body)
        # What GET answers can be sent back: these two are its own words for the name.
        for key, value in (("name", name), ("kernel_name", KERNEL_PREFIX + name)):
            if body.pop(key, value) != value:
                raise InvalidEnvironment(f"{key}: must be {value!r} here", key=key)
        environment, created = self.environments.put(name, body)
        self.reply(environment.to_json(), 201 if created else 200)

    @web.authenticated
    @authorized
    async def delete(self, name: str) -> None:
        self.environments.delete(name)
        self.set_status(204)
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado; a form wants to know which key is wrong."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, InvalidEnvironment):
            super().write_error(status_code, **kwargs)
            return
        self.set_status(http_status(error))
        self.finish(
            json.dumps({**describe_problem(error), "key": error.key}),
            set_content_type="application/problem+json",
        )
