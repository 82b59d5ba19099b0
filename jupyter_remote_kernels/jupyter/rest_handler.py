"""What all routes below ``/api/remote-kernels`` share."""

from __future__ import annotations

import json
from http.client import responses
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from jupyter_remote_kernels import errors
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.problems import describe_problem, http_status

if TYPE_CHECKING:
    from jupyter_remote_kernels.jupyter.runtimes import Runtimes

AUTH_RESOURCE = "remote_kernels"


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
        if status_code == 405:
            self.set_header("Allow", ", ".join(self._allowed_methods()))
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

    def _allowed_methods(self) -> list[str]:
        """Return the methods that this route has (RFC 9110, section 10.2.1)."""
        methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
        own = type(self)
        return [
            method
            for method in methods
            if getattr(own, method.lower()) is not getattr(web.RequestHandler, method.lower())
        ]

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Called by tornado before ``write_error``; our own errors are no bugs."""
        if isinstance(value, errors.RemoteKernelsError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)
