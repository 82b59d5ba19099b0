"""Client of one agent: its HTTP routes and its websocket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
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
    NotSupported,
    RemoteKernelsError,
)
from jupyter_remote_kernels.link.streaming import BrokenOff, StreamedRequest
from jupyter_remote_kernels.link.websocket import Websocket
from jupyter_remote_kernels.protocol.frames import SUBPROTOCOL, Buffer
from jupyter_remote_kernels.protocol.resumable import SUBPROTOCOL as RESUMABLE

if TYPE_CHECKING:
    from jupyter_remote_kernels.model.endpoints import Endpoint

# tornado would refuse the largest log page or a slow restart with its own defaults.
_BODY_LIMIT_BYTES = 64 * 2**20

OnMessage = Callable[[Buffer | None], None]


class AgentClient:
    """Talks to one agent. Made and used on the control plane's loop.

    Parameters
    ----------
    endpoint : Endpoint or None
        Where the agent is; None while nobody knows.
    runtime_id : str
        Its only kernel.
    token : str
        The runtime's secret; sent in the ``Authorization`` header and nowhere else.
    """

    def __init__(self, endpoint: Endpoint | None, runtime_id: str, token: str) -> None:
        self._token = token
        self.endpoint = endpoint
        self._kernel_path = f"/api/kernels/{runtime_id}"
        self._http = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=16, max_body_size=_BODY_LIMIT_BYTES
        )

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the agent is; may be another place each time it is connected to."""
        return self._endpoint

    @endpoint.setter
    def endpoint(self, endpoint: Endpoint | None) -> None:
        self._endpoint = endpoint
        token = endpoint.token if endpoint is not None else None
        self._headers = {"Authorization": f"token {token or self._token}"}

    async def open_channels(
        self,
        session_id: str,
        on_message: OnMessage,
        subprotocols: Sequence[str] = (RESUMABLE, SUBPROTOCOL),
    ) -> Websocket:
        """Open the websocket.

        Parameters
        ----------
        session_id : str
            Names this link to the agent.
        on_message : callable
            Gets every websocket message, and None when the connection is over.
        subprotocols : sequence of str, optional
            Offered; the peer picks the first that it knows.

        Raises
        ------
        LinkRefused
            When the agent does not accept us.
        LinkUnavailable
            When it cannot be reached.
        """
        url = (
            self._url().replace("http", "ws", 1)
            + self._kernel_path
            + f"/channels?session_id={session_id}&agent_events=1"
        )
        return await Websocket.connect(url, self._headers, subprotocols, on_message)

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

    async def set_lease_policy(self, policy: str) -> None:
        """Change what happens at the end of the reservation."""
        await self._fetch("PUT", "/api/remote-kernels/lease", json.dumps({"policy": policy}))

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

    async def variables(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return what the kernel's variables are; waits until the kernel has time for that."""
        return await self._ask_state("variables", names)

    async def describe(self) -> dict[str, Any]:
        """Return what another kernel has to know of this one before it sends something."""
        return await self._ask_state("describe", None)

    async def plan(
        self, names: Sequence[str] | None = None, target: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a capture would carry; waits until the kernel has time for that.

        Parameters
        ----------
        names : sequence of str, optional
            Which variables; all by default.
        target : mapping, optional
            What the kernel says about itself that is to get them; see :meth:`describe`.
        """
        return await self._ask_state("plan", names, target)

    async def capture(self, body: Buffer) -> AsyncGenerator[memoryview, None]:
        """Read the kernel's state; waits until the kernel has time for that.

        Parameters
        ----------
        body : bytes-like
            The command as a record, and the digests that are known already.

        Yields
        ------
        memoryview
            The state stream as it comes. Whoever stops asking cancels.

        Raises
        ------
        Conflict
            When the kernel's state is being read or written already, or there is no kernel.
        NotSupported
            When it is no kernel of which that can be had.
        LinkError
            When the kernel or the connection ends, which may be in the middle.
        """
        async with self._stream("POST", "capture") as request:
            await request.ask(body)
            await _check(request)
            with _explained():
                async with contextlib.aclosing(request.read()) as pieces:
                    async for piece in pieces:
                        yield piece

    async def restore(self, body: AsyncIterator[Buffer]) -> dict[str, Any]:
        """Write the kernel's state; waits until the kernel has time for that.

        Parameters
        ----------
        body : asynchronous iterator of bytes-like
            The command as a record, then a state stream. What it raises cancels.

        Returns
        -------
        dict
            What was restored, and what was lost and why.

        Raises
        ------
        Conflict, NotSupported, LinkError
            As for :meth:`capture`.
        """
        async with self._stream("PUT", "restore") as request:
            await request.upload(body)
            await _check(request)
            return await request.read_json()

    def close(self) -> None:
        """Give back the HTTP client."""
        self._http.close()

    def _url(self) -> str:
        if self._endpoint is None:
            raise LinkUnavailable("it is not known where the agent is")
        return self._endpoint.url.rstrip("/")

    def _stream(self, method: str, operation: str) -> StreamedRequest:
        url = f"{self._url()}/api/remote-kernels/state/{operation}"
        return StreamedRequest(method, url, self._headers)

    async def _ask_state(
        self,
        operation: str,
        names: Sequence[str] | None,
        target: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        asked = {"names": None if names is None else list(names), "target": target}
        body = json.dumps(asked, default=dict)
        async with self._stream("POST", operation) as request:
            await request.ask(body.encode())
            await _check(request)
            return await request.read_json()

    async def _post(self, path: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        return await self._fetch("POST", path, json.dumps(body or {}))

    async def _fetch(self, method: str, path: str, body: str | None = None) -> HTTPResponse:
        request = HTTPRequest(
            self._url() + path,
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
    body: Any = {}
    if error.response is not None and error.response.body:
        with contextlib.suppress(ValueError):
            body = json.loads(error.response.body)
    return _explain(error.code, body)


def _explain(status: int, body: Any) -> RemoteKernelsError:
    """Return the error that the agent has told."""
    if status in (401, 403):
        return LinkRefused("the agent refused the token")
    told: dict[str, Any] = body if isinstance(body, dict) else {}
    message = str(told.get("message") or f"the agent answered {status}")
    kinds: dict[int, type[RemoteKernelsError]] = {409: Conflict, 501: NotSupported}
    kind = kinds.get(status, LinkError)
    return kind(message, reason=told.get("reason"), hint=str(told.get("hint") or ""))


async def _check(request: StreamedRequest) -> None:
    """See that a streamed request was accepted."""
    if request.status != 200:
        raise _explain(request.status, await request.read_json())


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenOff as error:
        raise _explain(500, error.body) from error
