"""The agent's websocket: resumable for a link, plain for any other Jupyter client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tornado import web, websocket

from jupyter_remote_kernels.agent.clients import PlainClient, ResumableClient
from jupyter_remote_kernels.agent.handlers import TokenHandler
from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.frames import SUBPROTOCOL
from jupyter_remote_kernels.protocol.resumable import SESSION_BYTES
from jupyter_remote_kernels.protocol.resumable import SUBPROTOCOL as RESUMABLE
from jupyter_remote_kernels.protocol.websocket_frames import coalesce, frame_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.agent.session import AgentSession
    from jupyter_remote_kernels.protocol.frames import Buffer

# What a client says that leaves for good; any other end of a connection may be an accident.
_GOODBYE = 1000


class ChannelsHandler(TokenHandler, websocket.WebSocketHandler):
    """The kernel's channels on one websocket."""

    def initialize(self, session: AgentSession) -> None:
        super().initialize(session)
        self.heard_s = session.loop.time()
        self._plain: PlainClient | None = None
        self._resumable: ResumableClient | None = None

    def prepare(self) -> None:
        super().prepare()
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if self.select_subprotocol([name.strip() for name in offered.split(",")]) is None:
            raise web.HTTPError(400)

    def check_origin(self, origin: str) -> bool:
        # Browsers have no business here: they send an Origin, our link does not.
        return False

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        known = {SUBPROTOCOL}
        if self._session_name() is not None:
            known.add(RESUMABLE)
        return next((name for name in subprotocols if name in known), None)

    def open(self, *args: str, **kwargs: str) -> None:
        # Several small messages answer one cell; waiting for each to be confirmed costs 40 ms.
        self.set_nodelay(True)
        wants_events = self.get_query_argument("agent_events", "") == "1"
        name = self._session_name()
        if self.selected_subprotocol != RESUMABLE or name is None:
            self._plain = PlainClient(self.session, self, wants_events=wants_events)
            self.session.add_client(self._plain)
            return
        audience = self.session.audience
        client = audience.find(name)
        is_new = client is None
        if client is None:
            client = ResumableClient(self.session, name, wants_events=wants_events)
            audience.expect_back(name, client)
        self._resumable = client
        client.attach(self)
        if is_new:
            self.session.add_client(client)
        else:
            self.session.welcome_back(client)

    def on_close(self) -> None:
        if self._plain is not None:
            self._plain.disconnect()
            self.session.audience.remove(self._plain)
        elif self._resumable is not None:
            self._resumable.lose(self)
            if self.close_code == _GOODBYE and not self._resumable.is_connected:
                self._resumable.close()
                self.session.audience.remove(self._resumable)

    def on_ping(self, data: bytes) -> None:
        self.heard_s = self.session.loop.time()

    def on_message(self, message: Any) -> None:
        self.heard_s = self.session.loop.time()
        if not isinstance(message, bytes):
            self.close(1003, "text messages are not understood")
            return
        try:
            if self._plain is not None:
                self._plain.take(message)
            elif self._resumable is not None:
                self._resumable.receive(self, message)
        except InvalidInput as error:
            self.close(1007, error.message)

    def write_messages(self, messages: Sequence[Sequence[Buffer]]) -> None:
        """Write messages to the websocket, each given as its parts."""
        connection = self.ws_connection
        if connection is None or connection.is_closing():
            return
        chunks: list[Buffer] = []
        for parts in messages:
            chunks.append(frame_head(sum(memoryview(part).nbytes for part in parts)))
            chunks += parts
        stream = cast("Any", connection).stream
        for chunk in coalesce(chunks):
            if stream.closed():
                return
            stream.write(chunk)

    def abort(self) -> None:
        """End the connection without waiting for anybody."""
        connection = self.ws_connection
        if connection is not None:
            cast("Any", connection).stream.close()

    def _session_name(self) -> bytes | None:
        try:
            name = bytes.fromhex(self.get_query_argument("session_id", ""))
        except ValueError:
            return None
        return name if len(name) == SESSION_BYTES else None
