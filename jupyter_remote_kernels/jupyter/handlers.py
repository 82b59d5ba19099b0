"""REST routes of runtimes and operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels import errors
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.launch_options import (
    LAUNCH_KEYS,
    read_launch_options,
    read_lease,
    read_lease_policy,
)
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler

OPENAPI_PATH = Path(__file__).parent / "openapi.yaml"
_LARGEST_OFFSET = 2**53


class LaunchingHandler(RemoteKernelsHandler):
    """Base of the routes that launch."""

    async def launch(self, body: dict[str, Any]) -> None:
        """Start what a request asks for, and answer it."""
        name = requests.read_text(body, "environment", required=True)
        path = requests.read_path(body)
        environment = self.runtimes.get_environment(str(name))
        options = read_launch_options(body, environment)
        launches = self.runtimes.launches
        example = await launches.read_example(environment) if options.notebook else None
        driver, operation = await self.runtimes.launch(environment, path, options)
        notebook = None
        if example is not None and environment.example_notebook and operation is not None:
            notebook = await launches.save_example(example, environment.example_notebook, path)
        self.reply(
            {
                **await self.runtimes.describe(driver),
                "created": operation is not None,
                "operation": operation.id if operation else None,
                "notebook": notebook,
            },
            202,
        )


class RuntimesHandler(LaunchingHandler):
    """All runtimes of this server."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply({"runtimes": await self.runtimes.describe_all()})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        await self.launch(self.read_body(set(LAUNCH_KEYS)))


class RuntimeHandler(RemoteKernelsHandler):
    """One runtime."""

    @web.authenticated
    @authorized
    async def get(self, runtime_id: str) -> None:
        self.reply(await self.runtimes.describe(self.runtimes.find(runtime_id)))

    @web.authenticated
    @authorized
    async def patch(self, runtime_id: str) -> None:
        is_ordinary = self.runtimes.is_ordinary(runtime_id)
        if not is_ordinary:
            self.runtimes.find(runtime_id)
        requests.check_present(self.request.body)
        body = self.read_body({"name", "tag", "lease_s", "lease_policy", "keep"})
        keep = requests.read_flag(body, "keep")
        if is_ordinary and keep is not None and set(body) == {"keep"}:
            self.runtimes.keep(runtime_id, keep=keep)
            self.reply({"id": runtime_id, "keep": keep})
            return
        fields: dict[str, Any] = {}
        if "name" in body:
            fields["name"] = requests.read_text(body, "name", required=True)
        if "tag" in body:
            fields["tag"] = requests.read_text(body, "tag")
        # What can fail comes first, so that a request is carried out as a whole or not at all.
        if "lease_s" in body:
            await self.runtimes.change(runtime_id, read_lease(body))
        policy = read_lease_policy(body)
        if policy is not None:
            await self.runtimes.change_lease_policy(runtime_id, policy)
        driver = await self.runtimes.rename(runtime_id, fields)
        if keep is not None:
            self.runtimes.keep(runtime_id, keep=keep)
        self.reply(await self.runtimes.describe(driver))

    @web.authenticated
    @authorized
    async def delete(self, runtime_id: str) -> None:
        self.reply(await self.runtimes.terminate(runtime_id))


class InterruptHandler(RemoteKernelsHandler):
    """Interrupt a runtime's kernel."""

    @web.authenticated
    @authorized
    async def post(self, runtime_id: str) -> None:
        self.read_body(set())
        await self.runtimes.interrupt(runtime_id)
        self.set_status(204)
        self.finish()


class RestartHandler(RemoteKernelsHandler):
    """Restart a runtime's kernel."""

    @web.authenticated
    @authorized
    async def post(self, runtime_id: str) -> None:
        self.read_body(set())
        operation = await self.runtimes.restart(runtime_id)
        self.reply(self.runtimes.describe_operation(operation), 202)


class LogsHandler(RemoteKernelsHandler):
    """A runtime's log, paged by bytes."""

    @web.authenticated
    @authorized
    async def get(self, runtime_id: str) -> None:
        offset = requests.read_number(
            self.get_query_argument("offset", "0"), "offset", _LARGEST_OFFSET
        )
        limit = requests.read_number(
            self.get_query_argument("limit", "65536"), "limit", _LARGEST_OFFSET
        )
        self.reply(await self.runtimes.read_log(runtime_id, offset, limit))


class OperationsHandler(RemoteKernelsHandler):
    """All recent operations."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        found = self.runtimes.operations.list()
        self.reply({"operations": [self.runtimes.describe_operation(item) for item in found]})


class OperationHandler(RemoteKernelsHandler):
    """One operation."""

    @web.authenticated
    @authorized
    async def get(self, operation_id: str) -> None:
        operation = self.runtimes.operations.get(operation_id)
        self.reply(self.runtimes.describe_operation(operation))

    @web.authenticated
    @authorized
    async def delete(self, operation_id: str) -> None:
        operation = await self.runtimes.operations.cancel(operation_id)
        self.reply(self.runtimes.describe_operation(operation), 202)


class OpenApiHandler(RemoteKernelsHandler):
    """The description of these routes."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply(yaml.safe_load(OPENAPI_PATH.read_text()))


class UnknownHandler(RemoteKernelsHandler):
    """Everything else below our path."""

    async def prepare(self, **kwargs: Any) -> None:
        """Called before any method: a stranger is refused before a route is denied."""
        await super().prepare(**kwargs)
        if not self.current_user:
            raise web.HTTPError(403)
        raise errors.NotFound(f"there is no route {self.request.path}", reason="unknown_route")
