"""Each part of the front end can be switched off, and the rest goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Browser, expect

from tests.ui.lab_page import LabPage
from tests.ui.lab_server import LabServer
from tests.ui.panel import action, open_panel, row

if TYPE_CHECKING:
    from pathlib import Path

# All but the model, the panel and the commands.
LEAVES = [
    "launch",
    "launcher",
    "environments",
    "volumes",
    "usage",
    "logs",
    "notebook-status",
    "recovery",
    "pause",
    "snapshots",
    "transfer",
    "move",
    "run-again",
    "reservations",
    "reservation-warnings",
    "reservation-banner",
    "exits",
]


def test_what_is_switched_off_is_not_missed(chromium: Browser, tmp_path: Path):
    server = LabServer(tmp_path, disabled=[f"jupyter-remote-kernels:{leaf}" for leaf in LEAVES])
    server.start()
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        lab = LabPage(page, server).open()
        expect(page.locator(".jp-LauncherCard", has_text="Box (remote)").first).to_be_visible()
        expect(page.locator(".jp-LauncherCard", has_text="Remote Kernel…")).to_have_count(0)
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        expect(page.get_by_role("menuitem", name="Launch Remote Kernel…")).to_have_count(0)
        page.keyboard.press("Escape")
        panel = open_panel(lab)
        expect(panel.locator(".lm-AccordionPanel-title")).to_have_count(1)
        notebook = lab.new_notebook("remote-box")
        assert notebook.value("6 * 7") == "42"
        mine = row(lab, notebook.kernel_id)
        expect(mine).to_contain_text("29 min left")
        mine.hover()
        expect(action(mine, "Pause")).to_have_count(0)
        expect(action(mine, "Restart")).to_be_visible()
        action(mine, "More Actions").click()
        expect(page.get_by_role("menuitem", name="Rename Runtime…")).to_be_visible()
        items = page.locator('.lm-Menu-item[data-type="command"] .lm-Menu-itemLabel')
        expect(items).to_have_text(["Rename Runtime…"])
        page.keyboard.press("Escape")
        server.shut_down_sessions()
    finally:
        context.close()
        server.stop()
    assert errors == []
