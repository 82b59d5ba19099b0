"""What is between a page and its kernels, for tests to cut."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

# Any code but those of an orderly end: JupyterLab connects again.
_LOST = 4000
# The other side goes away: JupyterLab takes it for the end.
_GONE = 1001


class Cable:
    """The websockets between a page and its kernels.

    Parameters
    ----------
    page : playwright.sync_api.Page
        The page, before it has opened any of them.
    """

    def __init__(self, page: Page) -> None:
        self._is_whole = True
        self._has_notice = True
        self._pairs: list[tuple[WebSocketRoute, WebSocketRoute]] = []
        page.route_web_socket(re.compile(r"/api/kernels/.*/channels"), self._connect)

    def cut(self) -> None:
        """Close what is open; nothing can be opened until it is mended."""
        self._is_whole = False
        for page_side, server_side in self._pairs:
            page_side.close(code=_LOST)
            server_side.close(code=_LOST)
        self._pairs.clear()

    def go_silent(self) -> None:
        """Let all vanish that is sent from now on, either way. Neither side notices."""
        self._has_notice = False

    def notice(self) -> None:
        """Let the page notice that it is cut off. The server has not, and it works again."""
        self._has_notice = True
        pairs, self._pairs = self._pairs, []
        for page_side, _ in pairs:
            page_side.close(code=_LOST)

    def end(self) -> None:
        """Close what is open as a server does that is stopped."""
        pairs, self._pairs = self._pairs, []
        for page_side, server_side in pairs:
            page_side.close(code=_GONE)
            server_side.close(code=_GONE)

    def mend(self) -> None:
        """Let connections be opened again."""
        self._is_whole = True

    def _connect(self, page_side: WebSocketRoute) -> None:
        if not self._is_whole:
            page_side.close(code=_LOST)
            return
        server_side = page_side.connect_to_server()
        pair = (page_side, server_side)
        self._pairs.append(pair)

        def carries() -> bool:
            return self._has_notice and pair in self._pairs

        page_side.on_message(lambda message: server_side.send(message) if carries() else None)
        server_side.on_message(lambda message: page_side.send(message) if carries() else None)
