"""The Kernels panel, the badge and the log: what our front end adds to JupyterLab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage

PYTHON = "Python (remote)"
SMALL = "Small (remote)"


def open_panel(lab: LabPage) -> Locator:
    """Show the panel."""
    lab.execute("remote-kernels:open-panel")
    panel = lab.page.locator('[id="jp-remote-kernels-panel"]')
    expect(panel).to_be_visible()
    return panel


def row(lab: LabPage, runtime_id: str) -> Locator:
    """Return the row of a runtime."""
    return lab.page.locator(f'[data-runtime-id="{runtime_id}"]')


def test_blank_and_environments(lab: LabPage):
    panel = open_panel(lab)
    expect(panel).to_contain_text("No runtimes yet")
    environments = panel.locator("[data-environment]")
    expect(environments).to_have_count(2)
    expect(panel.locator('[data-environment="small"]')).to_contain_text("400 MiB memory")


def test_launch_from_the_panel_and_terminate(lab: LabPage):
    panel = open_panel(lab)
    panel.get_by_role("button", name=f"Launch {PYTHON}").click()
    runtime = panel.locator(".jp-RemoteKernels-runtime")
    expect(runtime).to_have_count(1)
    expect(runtime).to_contain_text("Running · Idle")
    expect(lab.page.locator(".Toastify")).to_contain_text("is ready")
    runtime.get_by_role("button", name=re.compile("^Terminate Runtime")).click()
    expect(lab.dialog).to_contain_text(re.compile("lost", re.IGNORECASE))
    lab.dialog.get_by_role("button", name="Terminate").click()
    expect(runtime).to_have_count(0)
    assert lab.server.api("GET", "/api/kernels") == []


def test_a_notebook_in_the_panel(lab: LabPage):
    notebook = lab.new_notebook()
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    expect(mine).to_contain_text("Running · Idle")
    expect(mine.locator(".jp-RemoteKernels-documents")).to_contain_text("Untitled")
    notebook.activate()
    cell = notebook.start("input()")
    expect(mine).to_contain_text("Running · Busy")
    mine.get_by_role("button", name=re.compile("^Interrupt")).click()
    cell.expect_done()
    expect(mine).to_contain_text("Running · Idle")
    expect(mine.locator(".jp-RemoteKernels-usage")).to_contain_text("Memory")


def test_restart_asks_first(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run("kept = 1")
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    mine.get_by_role("button", name=re.compile("^Restart")).click()
    expect(lab.dialog).to_be_visible()
    lab.dialog.get_by_role("button", name="Restart").click()
    expect(mine).to_contain_text("Running · Idle")
    notebook.wait_idle()
    notebook.activate()
    assert notebook.value("'kept' in globals()") == "False"


def test_rename_with_the_keyboard(lab: LabPage):
    notebook = lab.new_notebook()
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    mine.focus()
    lab.page.keyboard.press("F2")
    lab.dialog.locator("input").fill("My long run")
    lab.page.keyboard.press("Enter")
    expect(mine).to_contain_text("My long run")
    runtime = lab.server.api("GET", f"/api/remote-kernels/runtimes/{notebook.kernel_id}")
    assert runtime["name"] == "My long run"


def test_log(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run("import os; _ = os.system('echo a line of a child >&2')")
    open_panel(lab)
    row(lab, notebook.kernel_id).get_by_role("button", name=re.compile("^Show Kernel Log")).click()
    log = lab.page.locator(".jp-RemoteKernels-logs")
    expect(log).to_be_visible()


def test_badge(lab: LabPage):
    notebook = lab.new_notebook()
    badge = notebook.panel.locator(".jp-RemoteKernels-badge")
    expect(badge).to_have_text("Running")
    badge.click()
    expect(row(lab, notebook.kernel_id)).to_be_focused()


def test_no_badge_for_a_local_kernel(lab: LabPage):
    notebook = lab.new_notebook("python3")
    expect(notebook.panel.locator(".jp-RemoteKernels-badge")).to_have_count(0)
    assert notebook.value("1 + 1") == "2"


def test_a_death_is_told_with_its_cause(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.start("import os; os._exit(7)")
    expect(lab.page.locator(".Toastify")).to_contain_text("exit code 7")
