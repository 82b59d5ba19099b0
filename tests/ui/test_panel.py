"""The Kernels panel, the badge and the log: what our front end adds to JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.faults.support import wait_until
from tests.ui.lab_server import QUEUE_WORDS
from tests.ui.panel import (
    THEMES,
    accept,
    action,
    contrast,
    field,
    open_launch_dialog,
    open_panel,
    row,
    toast,
    use_theme,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage

PYTHON = "Python (remote)"
SMALL = "Small (remote)"


@pytest.fixture
def panel(lab: LabPage) -> Locator:
    """The panel, open."""
    return open_panel(lab)


class TestEnvironments:
    def test_blank_and_environments(self, panel: Locator):
        expect(panel).to_contain_text("No runtimes yet")
        names = ["box", "far", "python", "queued", "small"]
        listed = panel.locator("[data-environment]")
        expect(listed).to_have_count(len(names))
        found = [item.get_attribute("data-environment") for item in listed.all()]
        assert sorted(filter(None, found)) == names
        small = panel.locator('[data-environment="small"]')
        expect(small).to_contain_text(SMALL)
        expect(small).to_contain_text("400 MiB memory")

    def test_launch_open_and_terminate(self, lab: LabPage, panel: Locator):
        open_launch_dialog(lab)
        field(lab, "opening").locator("select").select_option("nothing")
        accept(lab, "Launch")
        runtime = panel.locator(".jp-RemoteKernels-runtime")
        expect(runtime).to_have_count(1)
        expect(runtime).to_contain_text("Running · Idle")
        expect(runtime).to_contain_text("No notebook connected")
        # The notification that followed the launch offers what comes next.
        ready = toast(lab, f"{PYTHON} is ready")
        ready.get_by_role("button", name="Open Notebook").click()
        notebook = lab.current_notebook()
        assert notebook.kernel_id == runtime.get_attribute("data-runtime-id")
        assert notebook.value("6 * 7") == "42"
        expect(runtime.locator(".jp-RemoteKernels-documents")).to_contain_text(".ipynb")

        action(runtime, "Terminate").click()
        expect(lab.dialog).to_contain_text("Its variables will be lost")
        expect(lab.dialog).to_contain_text("Untitled")
        lab.dialog.get_by_role("button", name="Terminate the runtime").click()
        expect(runtime).to_have_count(0)
        assert lab.server.api("GET", "/api/kernels") == []
        # The notebook learns of it at once, and not when JupyterLab looks next.
        expect(notebook.panel.get_by_role("button", name="No Kernel")).to_be_visible()

    def test_terminate_can_be_called_off(self, lab: LabPage):
        notebook = lab.new_notebook()
        notebook.run("kept = 1")
        open_panel(lab)
        action(row(lab, notebook.kernel_id), "Terminate").click()
        lab.dialog.get_by_role("button", name="Cancel").click()
        expect(lab.dialog).to_have_count(0)
        assert notebook.value("kept") == "1"


class TestQueue:
    def test_a_queued_notebook_says_so_and_then_runs(self, lab: LabPage):
        lab.execute("notebook:create-new", kernelName="remote-queued")
        badge = lab.page.locator(".jp-RemoteKernels-badge")
        expect(badge).to_have_text(f"Queued: {QUEUE_WORDS}")
        badge.click()
        lab.page.get_by_role("menuitem", name="Show Remote Kernels").click()
        runtime = lab.page.locator(".jp-RemoteKernels-runtime")
        expect(runtime).to_be_focused()
        expect(runtime.locator(".jp-RemoteKernels-state")).to_have_text("Queued")
        expect(runtime).to_contain_text(QUEUE_WORDS)
        # An unknown state is what JupyterLab shows for a kernel that does not answer.
        notebook = lab.current_notebook()
        cell = notebook.start("'from the ' + 'other side'")
        cell.expect_running()
        lab.server.leave_queue(notebook.kernel_id)
        cell.expect_done()
        expect(cell.output).to_contain_text("from the other side")
        expect(badge).to_have_text("Running")

    def test_a_launch_shows_its_progress_and_can_be_cancelled(self, lab: LabPage, panel: Locator):
        open_launch_dialog(lab, "queued")
        field(lab, "opening").locator("select").select_option("nothing")
        accept(lab, "Launch")
        progress = toast(lab, QUEUE_WORDS)
        expect(progress).to_be_visible()
        runtime = panel.locator(".jp-RemoteKernels-runtime")
        expect(runtime).to_contain_text(QUEUE_WORDS)
        expect(action(runtime, "Interrupt")).to_be_disabled()
        progress.get_by_role("button", name="Cancel").click()
        expect(toast(lab, "was cancelled")).to_be_visible()
        expect(runtime).to_have_count(0)
        # The row is gone when the job is; Jupyter takes note of that afterwards.
        wait_until(lambda: lab.server.api("GET", "/api/kernels") == [])


class TestRuntimes:
    def test_state_use_and_interrupt(self, lab: LabPage):
        notebook = lab.new_notebook("remote-small")
        open_panel(lab)
        mine = row(lab, notebook.kernel_id)
        expect(mine).to_contain_text("Running · Idle")
        expect(mine.locator(".jp-RemoteKernels-usage")).to_contain_text("CPU")
        expect(mine.locator(".jp-RemoteKernels-usage")).to_contain_text("/ 400 MiB")
        cell = notebook.start("while True:\n    pass")
        expect(mine).to_contain_text("Running · Busy")
        action(mine, "Interrupt").click()
        cell.expect_done()
        expect(cell.output).to_contain_text("KeyboardInterrupt")
        expect(mine).to_contain_text("Running · Idle")

    def test_restart_asks_first(self, lab: LabPage):
        notebook = lab.new_notebook()
        notebook.run("kept = 1")
        open_panel(lab)
        action(row(lab, notebook.kernel_id), "Restart").click()
        expect(lab.dialog).to_contain_text("Its variables will be lost; the runtime stays.")
        lab.dialog.get_by_role("button", name="Restart the kernel").click()
        notebook.wait_for_status("restarting")
        notebook.wait_idle()
        assert notebook.value("'kept' in globals()") == "False"
        expect(toast(lab, "ended")).to_have_count(0)

    def test_restart_without_a_notebook(self, lab: LabPage, panel: Locator):
        created = lab.server.api("POST", "/api/remote-kernels/runtimes", {"environment": "python"})
        mine = row(lab, created["id"])
        # Nobody told this page: the server's events did.
        expect(mine).to_contain_text("Running · Idle")
        action(mine, "Restart").click()
        lab.record_operations()
        lab.dialog.get_by_role("button", name="Restart the kernel").click()
        lab.wait_for_operation(created["id"])
        expect(mine).to_contain_text("Running · Idle")
        # Somebody asked for this end, so there is nothing to explain.
        expect(mine).not_to_contain_text("ended")
        expect(toast(lab, "ended")).to_have_count(0)

    def test_context_menu(self, lab: LabPage):
        notebook = lab.new_notebook()
        open_panel(lab)
        mine = row(lab, notebook.kernel_id)
        mine.click(button="right")
        menu = lab.page.locator(".lm-Menu")
        names = ("Open Notebook", "Interrupt", "Restart", "Show Log", "Rename", "Terminate")
        for name in names:
            expect(menu).to_contain_text(name)
        menu.get_by_text("Rename Runtime…").click()
        lab.dialog.locator("input").fill("Run of the night")
        lab.dialog.get_by_role("button", name="Rename").click()
        expect(mine).to_contain_text("Run of the night")
        expect(mine).to_contain_text(PYTHON)

    def test_log(self, lab: LabPage):
        notebook = lab.new_notebook()
        # What goes past the kernel's own streams is seen nowhere else.
        notebook.run("import os; _ = os.write(2, b'a line below Python\\n')")
        lab.execute("remote-kernels:show-logs", runtime_id=notebook.kernel_id)
        log = lab.page.locator(".jp-RemoteKernels-logs")
        notebook_tab = lab.page.locator(".lm-TabBar-tab", has_text=f"Log: {PYTHON}")
        expect(notebook_tab).to_be_visible()
        runtime = lab.server.api(
            "GET", f"/api/remote-kernels/runtimes/{notebook.kernel_id}/logs?offset=0&limit=65536"
        )
        expected = runtime["text"].strip() or "Nothing has been written yet"
        expect(log).to_contain_text(expected)


class TestKeyboard:
    def test_rows_are_reached_and_act(self, lab: LabPage):
        first = lab.new_notebook()
        second = lab.new_notebook()
        open_panel(lab)
        keyboard = lab.page.keyboard
        # The newest comes first.
        row(lab, second.kernel_id).focus()
        keyboard.press("ArrowDown")
        expect(row(lab, first.kernel_id)).to_be_focused()
        keyboard.press("Home")
        expect(row(lab, second.kernel_id)).to_be_focused()
        keyboard.press("End")
        keyboard.press("F2")
        lab.dialog.locator("input").fill("Named by hand")
        keyboard.press("Enter")
        expect(row(lab, first.kernel_id)).to_contain_text("Named by hand")
        # The focus is where it was, so the next key is for the same row.
        expect(row(lab, first.kernel_id)).to_be_focused()
        keyboard.press("Tab")
        expect(row(lab, first.kernel_id).locator(".jp-RemoteKernels-link")).to_be_focused()
        keyboard.press("Tab")
        expect(action(row(lab, first.kernel_id), "Open Notebook")).to_be_focused()
        row(lab, first.kernel_id).focus()
        keyboard.press("Enter")
        expect(first.panel).to_be_visible()

    def test_delete_terminates_and_the_focus_stays_in_the_list(self, lab: LabPage):
        first = lab.new_notebook()
        second = lab.new_notebook()
        open_panel(lab)
        row(lab, second.kernel_id).focus()
        lab.page.keyboard.press("Delete")
        expect(lab.dialog).to_contain_text("Terminate Runtime?")
        # The dialog takes the focus a little after it can be seen.
        expect(lab.dialog.get_by_role("button", name="Terminate the runtime")).to_be_focused()
        lab.page.keyboard.press("Enter")
        expect(row(lab, second.kernel_id)).to_have_count(0)
        expect(row(lab, first.kernel_id)).to_be_focused()


class TestBadge:
    def test_shows_the_state_and_leads_to_the_panel(self, lab: LabPage):
        notebook = lab.new_notebook()
        badge = notebook.panel.locator(".jp-RemoteKernels-badge")
        expect(badge).to_have_text("Running")
        badge.click()
        lab.page.get_by_role("menuitem", name="Show Remote Kernels").click()
        expect(row(lab, notebook.kernel_id)).to_be_focused()

    def test_its_menu_is_used_with_the_keyboard(self, lab: LabPage):
        notebook = lab.new_notebook()
        badge = notebook.panel.locator(".jp-RemoteKernels-badge")
        keyboard = lab.page.keyboard
        # What can be done depends on it, and the list may hear of it after the kernel has answered.
        expect(badge).to_contain_text("Running")
        badge.focus()
        keyboard.press("Enter")
        menu = lab.page.get_by_role("menu").filter(has_text="Extend Reservation…")
        expect(menu).to_be_visible()
        keyboard.press("Escape")
        expect(menu).to_have_count(0)
        expect(badge).to_be_focused()
        keyboard.press("Enter")
        # The first item is chosen already.
        keyboard.press("ArrowDown")
        keyboard.press("Enter")
        expect(lab.dialog).to_contain_text("Extend Reservation of Python (remote)")
        expect(field(lab, "mode").locator("select")).to_be_focused()
        keyboard.press("Escape")
        expect(lab.dialog).to_have_count(0)
        expect(badge).to_be_focused()

    def test_none_for_a_local_kernel(self, lab: LabPage):
        notebook = lab.new_notebook("python3")
        assert notebook.value("1 + 1") == "2"
        expect(notebook.panel.locator(".jp-RemoteKernels-badge")).to_have_count(0)


def test_a_death_is_told_with_its_cause(lab: LabPage):
    notebook = lab.new_notebook()
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    expect(mine).to_contain_text("Running · Idle")
    notebook.start("import os; os._exit(7)")
    expect(toast(lab, "code 7")).to_be_visible()
    # JupyterLab's own dialog says only that the kernel died.
    expect(lab.dialog).to_contain_text("Kernel Restarting")
    expect(lab.dialog).to_contain_text("code 7")
    lab.dialog.get_by_role("button", name="Ok").click()
    notebook.wait_idle()
    # The row tells it to whoever comes back later, until it is dismissed.
    expect(mine).to_contain_text("Restarted.")
    expect(mine).to_contain_text("code 7")
    action(mine, "Dismiss").click()
    expect(mine).not_to_contain_text("code 7")


def test_no_answer_and_retry(lab: LabPage, panel: Locator):
    route = "**/api/remote-kernels/runtimes*"
    lab.page.route(route, lambda request: request.abort())
    panel.get_by_role("button", name="Refresh Remote Kernels").click()
    expect(panel.get_by_role("alert")).to_contain_text("The Jupyter server did not answer")
    lab.page.unroute(route)
    panel.get_by_role("button", name="Retry").click()
    expect(panel).to_contain_text("No runtimes yet")


@pytest.mark.parametrize("theme", THEMES)
def test_texts_can_be_read(lab: LabPage, theme: str):
    notebook = lab.new_notebook()
    use_theme(lab, theme)
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    expect(mine.locator(".jp-RemoteKernels-usage")).to_be_visible()
    for name in ("title", "state", "usage", "link"):
        assert contrast(mine.locator(f".jp-RemoteKernels-{name}")) >= 4.5, name
