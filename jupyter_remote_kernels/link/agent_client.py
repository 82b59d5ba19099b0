"""Client of one agent: its HTTP routes and its websocket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

from jupyter_remote_kernels.errors import (
    Conflict,
    LinkError,
    LinkRefused,
    LinkUnavailable,
    RemoteKernelsError,
)
from jupyter_remote_kernels.link.websocket import Websocket
from jupyter_remote_kernels.protocol.frames import SUBPROTOCOLS, Buffer, encode_head

if TYPE_CHECKING:
    from jupyter_remote_kernels.model.endpoints import Endpoint

# tornado would refuse the largest log page or a slow restart with its own defaults.
_BODY_LIMIT_BYTES = 64 * 2**20

OnMessage = Callable[[Buffer | None], None]


class Channels:
    """An open websocket to the agent's channels."""

    def __init__(self, websocket: Websocket) -> None:
        self._websocket = websocket

    def send(self, channel: str, parts: Sequence[Buffer]) -> None:
        """Send one kernel message.

        Raises
        ------
        LinkUnavailable
            When the connection is closed.
        """
        self._websocket.send([encode_head(channel, parts), *parts])

    def send_encoded(self, data: Buffer) -> None:
        """Send one kernel message that has its framing already."""
        self._websocket.send([data])

    def close(self) -> None:
        """Close the websocket."""
        self._websocket.close()


class AgentClient:
    """Talks to one agent. Made and used on the control plane's loop.

    Parameters
    ----------
    endpoint : Endpoint
        Where the agent is.
    runtime_id : str
        Its only kernel.
    token : str
        The runtime's secret; sent in the ``Authorization`` header and nowhere else.
    """

    def __init__(self, endpoint: Endpoint, runtime_id: str, token: str) -> None:
        self._url = endpoint.url.rstrip("/")
        self._kernel_path = f"/api/kernels/{runtime_id}"
        self._headers = {"Authorization": f"token {endpoint.token or token}"}
        self._http = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=16, max_body_size=_BODY_LIMIT_BYTES
        )

    async def open_channels(self, session_id: str, on_message: OnMessage) -> Channels:
        """Open the websocket.

        Parameters
        ----------
        session_id : str
            Names this link to the agent.
        on_message : callable
            Gets every websocket message, and None when the connection is over.

        Raises
        ------
        LinkRefused
            When the agent does not accept us.
        LinkUnavailable
            When it cannot be reached.
        """
        url = (
            self._url.replace("http", "ws", 1)
            + self._kernel_path
            + f"/channels?session_id={session_id}&agent_events=1"
        )
        return Channels(await Websocket.connect(url, self._headers, SUBPROTOCOLS, on_message))

    async def interrupt(self) -> None:
        """Interrupt the kernel (SIGINT to its process group)."""
        await self._post(self._kernel_path + "/interrupt")

    async def send_signal(self, signum: int) -> None:
        """Send any signal to the kernel's process group."""
        await self._post("/api/remote-kernels/signal", {"signal": signum})

    async def restart(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Restart the kernel in its place; returns when the new process runs."""
        body = {"argv": list(argv), "env": dict(env)}
        await self._post(self._kernel_path + "/restart", body)

    async def stop_kernel(self, grace_s: float) -> None:
        """End the kernel but keep the agent."""
        await self._post("/api/remote-kernels/stop-kernel", {"grace_s": grace_s})

    async def change_lease(self, lease_s: float | None) -> dict[str, Any]:
        """Extend or shorten the reservation; returns how it is now."""
        body = json.dumps({"lease_s": lease_s})
        return _read_json(await self._fetch("PUT", "/api/remote-kernels/lease", body))

    async def claim(self, body: Mapping[str, Any]) -> None:
        """Make a warm agent that of a runtime; it works once.

        Raises
        ------
        Conflict
            When it is somebody's already.
        """
        await self._post("/api/remote-kernels/claim", body)

    async def measure(self) -> dict[str, Any]:
        """Return a fresh measurement of CPU and memory."""
        return _read_json(await self._fetch("GET", "/api/remote-kernels/metrics"))

    async def read_log(self, offset: int, limit: int) -> tuple[bytes, int]:
        """Return a page of the kernel's own output and the log's whole size, in bytes."""
        response = await self._fetch(
            "GET", f"/api/remote-kernels/log?offset={offset}&limit={limit}"
        )
        return response.body, int(response.headers.get("X-Log-Size-Bytes", "0"))

    def close(self) -> None:
        """Give back the HTTP client."""
        self._http.close()

    async def _post(self, path: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        return await self._fetch("POST", path, json.dumps(body or {}))

    async def _fetch(self, method: str, path: str, body: str | None = None) -> HTTPResponse:
        request = HTTPRequest(
            self._url + path,
            method=method,
            headers=HTTPHeaders(self._headers),
            body=body,
            connect_timeout=20.0,
            request_timeout=60.0,
        )
        try:
            return await self._http.fetch(request)
        except HTTPClientError as error:
            raise _translate(error) from error
        except (OSError, StreamClosedError) as error:
            raise LinkUnavailable(f"the agent cannot be reached: {error}") from error


def _read_json(response: HTTPResponse) -> dict[str, Any]:
    value = json.loads(response.body)
    if not isinstance(value, dict):
        raise LinkError("the agent answered something that is not understood")
    return value


def _translate(error: HTTPClientError) -> RemoteKernelsError:
    """Turn an HTTP failure into ours: refused, unreachable, or the agent's own reason."""
    if isinstance(error, HTTPTimeoutError) or error.code == 599:
        return LinkUnavailable("the agent did not answer in time")
    if error.code in (401, 403):
        return LinkRefused("the agent refused the token")
    body: dict[str, Any] = {}
    if error.response is not None and error.response.body:
        try:
            body = json.loads(error.response.body)
        except ValueError:
            body = {}
    message = str(body.get("message") or f"the agent answered {error.code}")
    kind = Conflict if error.code == 409 else LinkError
    return kind(message, reason=body.get("reason"), hint=str(body.get("hint") or ""))
