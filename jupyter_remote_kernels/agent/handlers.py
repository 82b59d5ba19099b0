"""The agent's routes: the Jupyter Server kernel API for one kernel, and a few of our own.

Nothing answers a request without the token, and then always in the same way: a stranger
learns nothing, not even which routes exist.
"""

from __future__ import annotations

import hmac
import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tornado import web

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.agent.claiming import claim
from jupyter_remote_kernels.agent.ending import asked_to_end
from jupyter_remote_kernels.errors import (
    Conflict,
    InvalidInput,
    KernelStartFailed,
    NotSupported,
    RemoteKernelsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_remote_kernels.agent.session import AgentSession

_STATUS: dict[type[RemoteKernelsError], int] = {
    Conflict: 409,
    InvalidInput: 400,
    KernelStartFailed: 500,
    NotSupported: 501,
}
_LOG_PAGE_BYTES = 256 * 1024
_LONGEST_LEASE_S = 100 * 365 * 86_400


class TokenHandler(web.RequestHandler):
    """Refuses every request without the token, on every route in the very same way."""

    session: AgentSession

    def initialize(self, session: AgentSession) -> None:
        self.session = session

    def prepare(self) -> None:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        expected = self.session.settings.token.encode()
        if scheme.lower() not in ("token", "bearer") or not hmac.compare_digest(
            token.strip().encode(), expected
        ):
            raise web.HTTPError(403)

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        body = {"reason": "refused" if status_code == 403 else "error", "message": ""}
        if isinstance(error, RemoteKernelsError):
            self.set_status(http_status(error))
            body = {"reason": error.reason, "message": error.message, "hint": error.hint}
        self.finish(body)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, RemoteKernelsError):
            super().log_exception(typ, value, tb)


class AgentHandler(TokenHandler):
    """Base of the HTTP routes."""

    def read_body(self) -> dict[str, Any]:
        """Return the JSON object in the request's body; an empty body is an empty object."""
        if not self.request.body:
            return {}
        try:
            body = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise InvalidInput("the body is not JSON") from None
        if not isinstance(body, dict):
            raise InvalidInput("the body is no JSON object")
        return body

    def write_model(self, status: int = 200) -> None:
        """Answer with the kernel's model, as Jupyter Server does."""
        self.set_status(status)
        self.finish(kernel_model(self.session))


def http_status(error: RemoteKernelsError) -> int:
    """Return the status with which an error is answered."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def kernel_model(session: AgentSession) -> dict[str, Any]:
    """Return the kernel as Jupyter Server's API describes it."""
    state = "dead" if session.kernel.exit else "idle" if session.info else "starting"
    return {
        "id": session.settings.runtime_id,
        "name": "remote",
        "execution_state": state,
        "connections": 0,
        "last_activity": "",
    }


class KernelsHandler(AgentHandler):
    """The list of kernels: exactly one."""

    def get(self) -> None:
        self.finish(json.dumps([kernel_model(self.session)]))

    def post(self) -> None:
        self.write_model(201)


class KernelHandler(AgentHandler):
    """The kernel."""

    def get(self, kernel_id: str) -> None:
        self._check(kernel_id)
        self.write_model()

    def delete(self, kernel_id: str) -> None:
        self._check(kernel_id)
        self.set_status(204)
        self.finish()
        self.session.end(asked_to_end())

    def _check(self, kernel_id: str) -> None:
        if kernel_id != self.session.settings.runtime_id:
            raise web.HTTPError(404)


class KernelActionHandler(AgentHandler):
    """Interrupt and restart."""

    async def post(self, kernel_id: str, action: str) -> None:
        if kernel_id != self.session.settings.runtime_id:
            raise web.HTTPError(404)
        if action == "interrupt":
            self.session.signal_kernel(signal.SIGINT)
            self.set_status(204)
            self.finish()
            return
        body = self.read_body()
        argv, env = body.get("argv"), body.get("env")
        if argv is not None and not (argv and isinstance(argv, list) and _are_texts(argv)):
            raise InvalidInput("argv: must be a list of texts that is not empty")
        if env is not None and not (isinstance(env, dict) and _are_texts(env.values())):
            raise InvalidInput("env: must be texts by name")
        await self.session.restart_kernel(argv=argv, env=env)
        self.write_model()


class SignalHandler(AgentHandler):
    """Any signal to the kernel's process group."""

    def post(self) -> None:
        signum = self.read_body().get("signal")
        if not isinstance(signum, int) or not 0 < signum < signal.NSIG:
            raise InvalidInput("signal: must be a signal number")
        self.session.signal_kernel(signum)
        self.set_status(204)
        self.finish()


class StopHandler(AgentHandler):
    """End the kernel, but keep the agent and its allocation for a restart."""

    async def post(self) -> None:
        grace_s = self.read_body().get("grace_s", 1.0)
        if not isinstance(grace_s, (int, float)) or not 0 <= grace_s <= 600:
            raise InvalidInput("grace_s: must be between 0 and 600 seconds")
        await self.session.stop_kernel(float(grace_s))
        self.finish(self.session.describe())


class StatusHandler(AgentHandler):
    """What is known about the kernel and this agent."""

    def get(self) -> None:
        self.finish({**self.session.describe(), "agent_version": __version__})


class LeaseHandler(AgentHandler):
    """The time reservation: extended or shortened, and what happens at its end."""

    def put(self) -> None:
        body = self.read_body()
        policy = body.get("policy")
        if policy is not None:
            if policy not in ("terminate", "pause"):
                raise InvalidInput("policy: must be terminate or pause")
            self.session.set_lease_policy(policy)
        if "lease_s" not in body and policy is not None:
            self.finish(self.session.describe()["lease"])
            return
        lease_s = body.get("lease_s")
        is_number = isinstance(lease_s, (int, float)) and not isinstance(lease_s, bool)
        # Also refuses NaN, which compares with nothing.
        if lease_s is not None and not (is_number and 0 < lease_s < _LONGEST_LEASE_S):
            raise InvalidInput("lease_s: must be a number of seconds above 0, or null")
        self.finish(self.session.change_lease(lease_s))


class ClaimHandler(AgentHandler):
    """Make a warm kernel that of a runtime, once."""

    async def post(self) -> None:
        await claim(self.session, self.read_body())
        self.finish(self.session.describe())


class MetricsHandler(AgentHandler):
    """A fresh measurement."""

    def get(self) -> None:
        self.finish(self.session.sample())


class LogHandler(AgentHandler):
    """The kernel's own output, paged by bytes."""

    def get(self) -> None:
        try:
            offset = int(self.get_query_argument("offset", "0"))
            limit = int(self.get_query_argument("limit", str(_LOG_PAGE_BYTES)))
        except ValueError:
            raise InvalidInput("offset and limit: must be whole numbers") from None
        path = self.session.kernel.log_path
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(min(max(offset, 0), size))
            data = file.read(min(max(limit, 1), _LOG_PAGE_BYTES))
        self.set_header("X-Log-Size-Bytes", str(size))
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(data)
