"""The browser's websocket to a kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from jupyter_remote_kernels.jupyter.kernel_manager import RemoteKernelManager, find_driver
from jupyter_remote_kernels.jupyter.tap import WebsocketTap
from jupyter_remote_kernels.protocol.frames import SUBPROTOCOL

if TYPE_CHECKING:
    from jupyter_remote_kernels.link.bridge import Bridge

_SUBSCRIBE_LIMIT_S = 5.0


class RemoteChannelsWebsocketConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own connection with TCP_NODELAY for every kernel.

    A runtime's connection opens at once, also while its job is queued. Its messages pass
    through a tap in the very bytes in which they came. Where the server has to look into them
    (message filters, rate limits, the legacy protocol), it goes the ordinary way over ZMQ.
    """

    _tap: WebsocketTap | None = None
    _bridge: Bridge | None = None
    _stale: RemoteChannelsWebsocketConnection | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self._is_runtime and not self._limits_are_configured():
            # The stock limiter drops output to protect the browser. Nothing of a runtime is
            # dropped unless the admin wants it.
            self.limit_rate = False

    @property
    def _is_runtime(self) -> bool:
        return find_driver(self.kernel_manager) is not None

    async def prepare(self) -> None:
        """Called before the websocket is accepted."""
        if not self._is_runtime:
            await super().prepare()  # type: ignore[no-untyped-call]
            return
        # A browser that comes back is here before its dead websocket is given up.
        stale = self._open_sessions.get(f"{self.kernel_id}:{self.session.session}")
        connection = getattr(stale, "connection", None)
        if isinstance(connection, RemoteChannelsWebsocketConnection):
            self._stale = connection
        await self._register_session()  # type: ignore[no-untyped-call]
        self.session.key = self.kernel_manager.session.key

    def connect(self) -> asyncio.Future[None] | None:  # type: ignore[override]
        """Called when the websocket is open."""
        # A cell is answered by several small messages. Without this each of them waits for the
        # browser's acknowledgement of the one before: 40 ms on Linux.
        self.websocket_handler.set_nodelay(True)
        driver = find_driver(self.kernel_manager)
        if driver is None or not self._can_tap():
            result: asyncio.Future[None] | None = super().connect()
            return result
        self._bridge = driver.bridge
        self.multi_kernel_manager.notify_connect(self.kernel_id)
        self._tap = self._take_tap()
        if self._tap is None:
            loop = asyncio.get_running_loop()
            self._tap = WebsocketTap(loop, self._bridge, self.session_key)
            self._bridge.add_tap(self._tap)
        self._tap.open(self.websocket_handler, self.session_key)
        manager = self.multi_kernel_manager
        manager.add_restart_callback(self.kernel_id, self.on_kernel_restarted)
        manager.add_restart_callback(self.kernel_id, self.on_restart_failed, "dead")
        # The stock ``connect`` does the same; ``close_all`` finds us there.
        ZMQChannelsWebsocketConnection._open_sockets.add(self)  # noqa: SLF001
        connected: asyncio.Future[None] = asyncio.Future()
        connected.set_result(None)
        return connected

    def disconnect(self) -> None:  # type: ignore[override]
        """Called when the websocket has closed."""
        tap, self._tap = self._tap, None
        super().disconnect()  # type: ignore[no-untyped-call]
        if tap is None or self._bridge is None:
            return
        tap.suspend()
        manager = self.multi_kernel_manager
        is_last = manager._kernel_connections.get(self.kernel_id) == 0  # noqa: SLF001 - as upstream
        if is_last and manager.buffer_offline_messages and self.kernel_id in manager:
            self.kernel_manager.keep_tap(tap)
        else:
            self._bridge.remove_tap(tap)

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Called for every message of the browser."""
        if self._tap is not None and self._bridge is not None:
            self._bridge.take_framed(self._tap, incoming_msg)
        else:
            super().handle_incoming_message(incoming_msg)

    def nudge(self) -> asyncio.Future[None]:
        """Called by the stock ``connect``: resolves when no output can be lost any more."""
        if not self._is_runtime:
            stock: asyncio.Future[None] = super().nudge()
            return stock
        subscribed: asyncio.Future[None] = asyncio.Future()
        stream = self.channels["iopub"]
        loop = asyncio.get_running_loop()

        def finish() -> None:
            if not subscribed.done():
                subscribed.set_result(None)

        def first_message(message: list[bytes]) -> None:
            stream.stop_on_recv()
            finish()
            # The bridge greets each subscriber; anything else is output and must not be lost.
            if not any(b'"iopub_welcome"' in part for part in message):
                loop.call_soon(self.handle_outgoing_message, stream, message)

        stream.on_recv(first_message)
        limit = loop.call_later(_SUBSCRIBE_LIMIT_S, finish)
        subscribed.add_done_callback(lambda _: limit.cancel())
        return subscribed

    def _take_tap(self) -> WebsocketTap | None:
        """Return the tap with what this browser has missed, if there is one."""
        stale, self._stale = self._stale, None
        if stale is not None and stale._tap is not None:  # noqa: SLF001 - one of us
            tap, stale._tap = stale._tap, None  # noqa: SLF001
            return tap
        kept: WebsocketTap | None = self.kernel_manager.take_tap()
        return kept

    def _can_tap(self) -> bool:
        manager = self.multi_kernel_manager
        return (
            self.subprotocol == SUBPROTOCOL
            and isinstance(self.kernel_manager, RemoteKernelManager)
            and not manager.allowed_message_types
            and manager.allow_tracebacks
            and not self.limit_rate
        )

    def _limits_are_configured(self) -> bool:
        names = ("limit_rate", "iopub_msg_rate_limit", "iopub_data_rate_limit")
        sections = ("ServerApp", *(cls.__name__ for cls in type(self).__mro__))
        return any(name in self.config.get(section, {}) for section in sections for name in names)
