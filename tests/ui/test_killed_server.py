"""The server is killed in the middle of a cell; the page, the kernel and the output go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.lab_page import LabPage
from tests.ui.lab_server import LabServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = 1500
PRINT = f"""\
import time
mine = "still here"
for i in range({LINES}):
    print('line', i, flush=True)
    time.sleep(0.01)
"""
AWAY_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    """A server that this test may kill."""
    made = LabServer(tmp_path)
    made.start()
    yield made
    made.shut_down_sessions()
    made.stop()


@pytest.fixture
def lab(chromium: Browser, server: LabServer) -> Iterator[LabPage]:
    """Its page."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    yield LabPage(context.new_page(), server).open()
    context.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("is_open", [True, False], ids=["page left open", "page closed"])
def test_killed_in_the_middle_of_a_cell(server: LabServer, lab: LabPage, is_open: bool) -> None:
    notebook = lab.new_notebook()
    notebook.run("first = 1")
    notebook.write_and_save(PRINT)
    path = notebook.path
    session = server.api("GET", "/api/sessions")[0]
    cell = notebook.start_at(1)
    expect(cell.output).to_contain_text("line 100\n")
    server.kill()
    if not is_open:
        lab.page.goto("about:blank")
    # How long it is away is what is tested.
    time.sleep(AWAY_S)
    server.start_again()
    again = server.api("GET", "/api/sessions")
    assert [(one["id"], one["kernel"]["id"]) for one in again] == [
        (session["id"], session["kernel"]["id"])
    ]
    if is_open:
        # JupyterLab's own, which it does not take back by itself.
        lab.dialog.get_by_role("button").first.click()
    else:
        notebook = lab.reopen(path)
    cell = notebook.cell(1)
    cell.expect_done()
    cell.expect_text("".join(f"line {i}\n" for i in range(LINES)))
    assert notebook.kernel_id == session["kernel"]["id"]
    assert notebook.value("mine, first") == "('still here', 1)"
