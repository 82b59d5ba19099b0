"""REST routes below ``/api/remote-kernels``."""

from __future__ import annotations

import json
from http.client import responses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from jupyter_remote_kernels import errors
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.problems import describe_problem, http_status

if TYPE_CHECKING:
    from jupyter_remote_kernels.jupyter.runtimes import Runtimes

AUTH_RESOURCE = "remote_kernels"
OPENAPI_PATH = Path(__file__).parent / "openapi.yaml"
_LARGEST_OFFSET = 2**53


class RemoteKernelsHandler(ExtensionHandlerMixin, APIHandler):
    """Base of our routes: authorisation by Jupyter's own means, errors as problem details."""

    auth_resource = AUTH_RESOURCE

    @property
    def runtimes(self) -> Runtimes:
        """The use cases."""
        found: Runtimes = self.settings["jupyter_remote_kernels_runtimes"]
        return found

    def read_body(self, allowed: set[str]) -> dict[str, Any]:
        """Return the request's JSON object with only the allowed keys."""
        body = requests.parse_body(self.request.body)
        requests.check_keys(body, allowed)
        return body

    def reply(self, data: Any, status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.finish(json.dumps(data))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado for every failed request."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, errors.RemoteKernelsError):
            status_code = http_status(error)
            self.set_status(status_code)
            if error.detail:
                self.log.warning("%s: %s", error, error.detail)
        else:
            # What another layer raised may say more than a stranger should know.
            title = responses.get(status_code, "Error")
            message = title
            if isinstance(error, web.HTTPError) and error.log_message and status_code < 500:
                message = error.log_message % error.args
            error = errors.RemoteKernelsError(message, reason=title.lower().replace(" ", "_"))
        self.finish(
            json.dumps(describe_problem(error, status_code)),
            set_content_type="application/problem+json",
        )

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Called by tornado before ``write_error``; our own errors are no bugs."""
        if isinstance(value, errors.RemoteKernelsError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)


class RuntimesHandler(RemoteKernelsHandler):
    """All runtimes of this server."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply({"runtimes": await self.runtimes.describe_all()})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        body = self.read_body({"environment", "name", "path", "tag", "client_token"})
        name = requests.read_text(body, "environment", required=True)
        path = requests.read_path(body)
        options = {
            "name": requests.read_text(body, "name"),
            "tag": requests.read_text(body, "tag"),
            "client_token": requests.read_client_token(body),
        }
        environment = self.runtimes.get_environment(str(name))
        driver, operation = await self.runtimes.launch(environment, path, options)
        model = await self.runtimes.describe(driver)
        self.reply(
            {
                **model,
                "created": operation is not None,
                "operation": operation.id if operation else None,
            },
            202,
        )


class RuntimeHandler(RemoteKernelsHandler):
    """One runtime."""

    @web.authenticated
    @authorized
    async def get(self, runtime_id: str) -> None:
        self.reply(await self.runtimes.describe(self.runtimes.find(runtime_id)))

    @web.authenticated
    @authorized
    async def patch(self, runtime_id: str) -> None:
        body = self.read_body({"name", "tag"})
        fields: dict[str, Any] = {}
        if "name" in body:
            fields["name"] = requests.read_text(body, "name", required=True)
        if "tag" in body:
            fields["tag"] = requests.read_text(body, "tag")
        driver = await self.runtimes.rename(runtime_id, fields)
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


def make_handlers() -> list[tuple[str, type[RemoteKernelsHandler]]]:
    """Return the routes."""
    # They are made of the class above.
    from jupyter_remote_kernels.jupyter.environment_handlers import (
        EnvironmentHandler,
        EnvironmentsHandler,
    )

    base = r"/api/remote-kernels"
    runtime = base + r"/runtimes/([^/]+)"
    return [
        (base + r"/environments", EnvironmentsHandler),
        (base + r"/environments/([^/]+)", EnvironmentHandler),
        (base + r"/runtimes", RuntimesHandler),
        (runtime, RuntimeHandler),
        (runtime + r"/interrupt", InterruptHandler),
        (runtime + r"/restart", RestartHandler),
        (runtime + r"/logs", LogsHandler),
        (base + r"/operations", OperationsHandler),
        (base + r"/operations/([^/]+)", OperationHandler),
        (base + r"/openapi\.json", OpenApiHandler),
        (base + r"(?:/.*)?", UnknownHandler),
    ]
