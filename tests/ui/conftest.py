"""One JupyterLab and one Chromium for all browser tests; a tab of its own for each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.server.processes import labelled_processes
from tests.ui.lab_page import LabPage
from tests.ui.lab_server import LabServer

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_WAIT_MS = 20_000


def find_chromium() -> str | None:
    """Return the browser of the system; ``CHROMIUM`` names another one."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium without a window."""
    path = find_chromium()
    if path is None:
        reason = "there is no Chromium: install it or name one with CHROMIUM=/path"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # Chromium's sandbox refuses to work for root, as which containers run.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=_WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*CHROMIUM_ARGUMENTS, *sandbox]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """JupyterLab with the environments "python", "small" and "queued"; leaves no process behind."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    server.start()
    yield server
    server.stop()
    left = labelled_processes(server.data_dir)
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def tab(chromium: Browser, lab_server: LabServer, tmp_path: Path) -> Iterator[Page]:
    """A tab with no history; asserts that nothing of it talks to another machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(_WAIT_MS)
    page = context.new_page()
    outside: list[str] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1":
            outside.append(url)

    context.on("request", lambda request: note(request.url))
    page.on("websocket", lambda websocket: note(websocket.url))
    yield page
    context.close()
    lab_server.shut_down_sessions()
    assert not outside, f"requests to other machines: {outside}"


@pytest.fixture
def lab(tab: Page, lab_server: LabServer) -> LabPage:
    """JupyterLab, just opened, with the launcher in front."""
    return LabPage(tab, lab_server).open()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep a picture of what a failing test saw."""
    report = yield
    page = getattr(item, "funcargs", {}).get("tab")
    if report.failed and isinstance(page, Page) and not page.is_closed():
        path = Path(getattr(item, "funcargs", {})["tmp_path"]) / "screenshot.png"
        try:
            page.screenshot(path=path)
        except Error as error:
            report.sections.append(("screenshot", f"none could be taken: {error}"))
        else:
            report.sections.append(("screenshot", str(path)))
    return report
