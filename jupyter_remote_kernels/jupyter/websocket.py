"""The browser's websocket to a kernel."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from jupyter_remote_kernels.jupyter.kernel_manager import find_driver

_SUBSCRIBE_LIMIT_S = 5.0


class RemoteChannelsWebsocketConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own connection with TCP_NODELAY for every kernel.

    A runtime's connection opens at once, also while its job is queued: the bridge answers from
    the start, and proves the subscription without asking the kernel.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self._is_runtime and not self._limits_are_configured():
            # The stock limiter drops output to protect the browser. Nothing of a runtime is
            # dropped unless the admin wants it.
            self.limit_rate = False

    @property
    def _is_runtime(self) -> bool:
        return find_driver(self.kernel_manager) is not None

    def connect(self) -> asyncio.Future[None] | None:  # type: ignore[override]
        """Called when the websocket is open."""
        # A cell is answered by several small messages. Without this each of them waits for the
        # browser's acknowledgement of the one before: 40 ms on Linux.
        self.websocket_handler.set_nodelay(True)
        result: asyncio.Future[None] | None = super().connect()
        return result

    async def prepare(self) -> None:
        """Called before the websocket is accepted."""
        if not self._is_runtime:
            await super().prepare()
            return
        await self._register_session()
        self.session.key = self.kernel_manager.session.key

    def nudge(self) -> asyncio.Future[None]:
        """Called by ``connect``: resolves when nothing can be lost on the output channel."""
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

    def _limits_are_configured(self) -> bool:
        names = ("limit_rate", "iopub_msg_rate_limit", "iopub_data_rate_limit")
        sections = ("ServerApp", *(cls.__name__ for cls in type(self).__mro__))
        return any(name in self.config.get(section, {}) for section in sections for name in names)
