"""The Kernels panel, the badge and the log: what our front end adds to JupyterLab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.ui.lab_server import QUEUE_WORDS

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage

PYTHON = "Python (remote)"
SMALL = "Small (remote)"


@pytest.fixture
def panel(lab: LabPage) -> Locator:
    """The panel, open."""
    return open_panel(lab)


def open_panel(lab: LabPage) -> Locator:
    """Show the panel."""
    lab.execute("remote-kernels:open-panel")
    panel = lab.page.get_by_role("region", name="Remote Kernels")
    expect(panel).to_be_visible()
    return panel


def row(lab: LabPage, runtime_id: str) -> Locator:
    """Return the row of a runtime."""
    return lab.page.locator(f'[data-runtime-id="{runtime_id}"]')


def action(runtime: Locator, name: str) -> Locator:
    """Return a button of a row by the begin of its name."""
    return runtime.get_by_role("button", name=re.compile(f"^{name}"))


def toast(lab: LabPage, text: str) -> Locator:
    """Return the notification with a text."""
    return lab.page.locator(".Toastify__toast", has_text=text)


class TestEnvironments:
    def test_blank_and_environments(self, panel: Locator):
        expect(panel).to_contain_text("No runtimes yet")
        expect(panel.locator("[data-environment]")).to_have_count(3)
        small = panel.locator('[data-environment="small"]')
        expect(small).to_contain_text(SMALL)
        expect(small).to_contain_text("400 MiB memory")

    def test_launch_open_and_terminate(self, lab: LabPage, panel: Locator):
        panel.get_by_role("button", name=f"Launch {PYTHON}").click()
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
        panel.get_by_role("button", name="Launch Queued (remote)").click()
        progress = toast(lab, QUEUE_WORDS)
        expect(progress).to_be_visible()
        runtime = panel.locator(".jp-RemoteKernels-runtime")
        expect(runtime).to_contain_text(QUEUE_WORDS)
        expect(action(runtime, "Interrupt")).to_be_disabled()
        progress.get_by_role("button", name="Cancel").click()
        expect(toast(lab, "was cancelled")).to_be_visible()
        expect(runtime).to_have_count(0)
        assert lab.server.api("GET", "/api/kernels") == []


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
        expect(row(lab, notebook.kernel_id)).to_be_focused()

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


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_texts_can_be_read(lab: LabPage, theme: str):
    notebook = lab.new_notebook()
    lab.execute("apputils:change-theme", theme=theme)
    lab.page.wait_for_function(
        "name => document.body.dataset.jpThemeName === name && "
        "getComputedStyle(document.body).getPropertyValue('--jp-layout-color1') !== ''",
        arg=theme,
    )
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    expect(mine.locator(".jp-RemoteKernels-usage")).to_be_visible()
    for name in ("title", "state", "usage", "link"):
        contrast = mine.locator(f".jp-RemoteKernels-{name}").evaluate(_CONTRAST)
        assert contrast >= 4.5, name


# WCAG's contrast of an element's text with the first opaque background behind it.
_CONTRAST = """
element => {
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const channel = value => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const luminance = rgb =>
    0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
  let behind = element;
  let back = [255, 255, 255];
  for (; behind; behind = behind.parentElement) {
    const color = parse(getComputedStyle(behind).backgroundColor);
    if (color.length === 3 || color[3] === 1) { back = color; break; }
  }
  const front = parse(getComputedStyle(element).color);
  const alpha = front.length === 4 ? front[3] : 1;
  const seen = [0, 1, 2].map(i => front[i] * alpha + back[i] * (1 - alpha));
  const [light, dark] = [luminance(seen), luminance(back)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}
"""
