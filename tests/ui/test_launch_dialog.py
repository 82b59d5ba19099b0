"""The launch dialog: what is filled in, refused, remembered, opened; by mouse and by keyboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.ui.panel import (
    THEMES,
    accept,
    action,
    contrast,
    environment_row,
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

RUNTIMES = "/api/remote-kernels/runtimes"


def control(lab: LabPage, name: str) -> Locator:
    """Return the input of a field."""
    return field(lab, name).locator("input, textarea, select").first


def fill_lease(lab: LabPage, amount: str, unit: str) -> None:
    """Fill in a time reservation."""
    field(lab, "lease").locator("input").first.fill(amount)
    field(lab, "lease").locator("select").select_option(unit)


def only_runtime(lab: LabPage) -> dict[str, Any]:
    """Return the one runtime that there is."""
    (runtime,) = lab.server.api("GET", RUNTIMES)["runtimes"]
    found: dict[str, Any] = runtime
    return found


class TestLaunch:
    def test_a_reserved_runtime_with_storage(self, lab: LabPage):
        dialog = open_launch_dialog(lab, "box")
        expect(dialog).to_contain_text("For what takes long.")
        expect(field(lab, "lease")).to_contain_text("Costs at most 3 credits.")
        expect(field(lab, "lease")).to_contain_text("are left.")
        control(lab, "name").fill("Night run")
        fill_lease(lab, "45", "minutes")
        expect(field(lab, "lease")).to_contain_text("Costs at most 4.5 credits.")
        control(lab, "lease_policy").select_option("pause")
        field(lab, "volumes").get_by_label("As ~/persistent").check()
        accept(lab, "Launch")
        notebook = lab.current_notebook()
        runtime = only_runtime(lab)
        assert runtime["lease_policy"] == "pause"
        assert notebook.kernel_id == runtime["id"]
        assert (runtime["name"], runtime["lease_s"]) == ("Night run", 2700)
        assert runtime["persistent"] is True
        expect(toast(lab, "Night run is ready")).to_be_visible()
        mine = row(lab, runtime["id"])
        expect(mine).to_contain_text("Night run")
        expect(mine).to_contain_text(re.compile(r"4[45] min left"))
        expect(mine).to_contain_text("credits")
        badge = notebook.panel.locator(".jp-RemoteKernels-badge")
        expect(badge).to_contain_text(re.compile(r"4[45] min left"))
        code = "import os; os.path.isdir(os.path.expanduser('~/persistent'))"
        assert notebook.value(code) == "True"

    def test_without_an_end(self, lab: LabPage):
        open_launch_dialog(lab)
        expect(field(lab, "lease").get_by_label("No end")).to_be_checked()
        expect(control(lab, "lease")).to_be_disabled()
        expect(field(lab, "lease")).to_contain_text("Costs no credits.")
        control(lab, "opening").select_option("nothing")
        accept(lab, "Launch")
        expect(lab.page.locator(".jp-RemoteKernels-runtime")).to_contain_text("Idle")
        assert only_runtime(lab)["lease_s"] is None

    def test_the_example_notebook(self, lab: LabPage):
        open_launch_dialog(lab, "box")
        control(lab, "opening").select_option("example")
        accept(lab, "Launch")
        notebook = lab.current_notebook()
        assert notebook.kernel_id == only_runtime(lab)["id"]
        cell = notebook.cell(0)
        cell.press("Shift+Enter")
        cell.expect_done()
        expect(cell.output).to_contain_text("from the example")

    def test_a_console(self, lab: LabPage):
        open_launch_dialog(lab)
        control(lab, "opening").select_option("console")
        accept(lab, "Launch")
        expect(lab.page.locator(".jp-CodeConsole-banner")).to_contain_text("Python")
        runtime = lab.page.locator(".jp-RemoteKernels-runtime")
        expect(runtime.locator(".jp-RemoteKernels-documents")).to_contain_text("Console")
        assert len(lab.server.api("GET", "/api/kernels")) == 1

    def test_for_the_current_notebook(self, lab: LabPage):
        notebook = lab.new_notebook("python3")
        lab.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        lab.page.get_by_role("menuitem", name="Launch Remote Kernel…").click()
        control(lab, "environment").select_option("python")
        expect(control(lab, "opening")).to_have_value("current")
        expect(field(lab, "opening")).to_contain_text("will be shut down")
        accept(lab, "Launch")
        expect(notebook.panel.locator(".jp-RemoteKernels-badge")).to_have_text("Running")
        notebook.wait_idle()
        assert notebook.kernel_name == "remote-python"
        assert notebook.value("6 * 7") == "42"

    def test_the_card_of_the_launcher(self, lab: LabPage):
        lab.page.locator(".jp-LauncherCard", has_text="Remote Kernel…").click()
        expect(lab.dialog).to_contain_text("Launch Remote Kernel")


class TestRefusals:
    def test_are_told_beside_their_fields(self, lab: LabPage):
        dialog = open_launch_dialog(lab, "box")
        control(lab, "opening").select_option("nothing")
        dialog.locator("summary", has_text="Resources").click()
        expect(field(lab, "cpu")).to_contain_text("At most 2.")
        control(lab, "cpu").fill("many")
        accept(lab, "Launch")
        expect(field(lab, "cpu").get_by_role("alert")).to_contain_text("Write a number.")
        # The server has the last word: its answer names the limit, and the limit its field.
        control(lab, "cpu").fill("3")
        accept(lab, "Launch")
        problem = field(lab, "cpu").get_by_role("alert")
        expect(problem).to_have_text("This environment allows at most 2.")
        expect(control(lab, "cpu")).to_be_focused()
        expect(control(lab, "cpu")).to_have_attribute("aria-invalid", "true")
        control(lab, "cpu").fill("2")
        expect(problem).to_have_count(0)
        fill_lease(lab, "3", "hours")
        expect(field(lab, "lease")).to_contain_text("the environment allows")
        accept(lab, "Launch")
        expect(field(lab, "lease").get_by_role("alert")).to_have_text(
            "This environment allows at most 2 h."
        )
        assert lab.server.api("GET", RUNTIMES)["runtimes"] == []
        fill_lease(lab, "1", "hours")
        accept(lab, "Launch")
        expect(lab.dialog).to_have_count(0)
        expect(lab.page.locator(".jp-RemoteKernels-runtime")).to_have_count(1)


class TestKeyboard:
    def test_everything_is_reached_and_the_focus_comes_back(self, lab: LabPage):
        open_panel(lab)
        launch = action(environment_row(lab, "box"), "Launch")
        keyboard = lab.page.keyboard
        launch.focus()
        keyboard.press("Enter")
        expect(control(lab, "environment")).to_be_focused()
        keyboard.press("Tab")
        expect(control(lab, "name")).to_be_focused()
        keyboard.type("By hand")
        keyboard.press("Tab")
        expect(control(lab, "lease")).to_be_focused()
        keyboard.press("Tab")
        keyboard.press("Tab")
        expect(control(lab, "lease_policy")).to_be_focused()
        keyboard.press("Tab")
        persistent = field(lab, "volumes").get_by_role("checkbox").first
        expect(persistent).to_be_focused()
        keyboard.press("Space")
        expect(persistent).to_be_checked()
        keyboard.press("Escape")
        expect(lab.dialog).to_have_count(0)
        expect(launch).to_be_focused()
        assert lab.server.api("GET", RUNTIMES)["runtimes"] == []

    def test_enter_opens_a_group_and_launches_from_a_field(self, lab: LabPage):
        open_panel(lab)
        action(environment_row(lab, "box"), "Launch").focus()
        keyboard = lab.page.keyboard
        keyboard.press("Enter")
        # The dialog takes the focus a little after it can be seen.
        expect(control(lab, "environment")).to_be_focused()
        summary = lab.dialog.locator("summary", has_text="Resources")
        summary.focus()
        expect(summary).to_be_focused()
        keyboard.press("Enter")
        keyboard.press("Tab")
        expect(control(lab, "cpu")).to_be_focused()
        control(lab, "opening").focus()
        keyboard.press("n")
        keyboard.press("o")
        expect(control(lab, "opening")).to_have_value("nothing")
        control(lab, "name").focus()
        keyboard.type("From a field")
        keyboard.press("Enter")
        expect(lab.dialog).to_have_count(0)
        expect(lab.page.locator(".jp-RemoteKernels-runtime")).to_contain_text("From a field")


def test_the_focus_stays_when_something_below_asks_for_it(lab: LabPage):
    open_launch_dialog(lab, "box")
    control(lab, "name").click()
    lab.page.evaluate("() => document.querySelector('[data-environment] button').focus()")
    lab.page.keyboard.type("Not interrupted")
    expect(control(lab, "name")).to_have_value("Not interrupted")


def test_the_last_choices_are_remembered(lab: LabPage):
    open_launch_dialog(lab, "box")
    fill_lease(lab, "50", "minutes")
    control(lab, "opening").select_option("nothing")
    accept(lab, "Launch")
    expect(lab.page.locator(".jp-RemoteKernels-runtime")).to_have_count(1)
    # Without a place of its own the command starts with what was launched last.
    lab.page.evaluate("() => void window.jupyterapp.commands.execute('remote-kernels:launch')")
    expect(control(lab, "environment")).to_have_value("box")
    expect(control(lab, "lease")).to_have_value("50")
    expect(control(lab, "opening")).to_have_value("nothing")
    control(lab, "environment").select_option("python")
    expect(field(lab, "lease").get_by_label("No end")).to_be_checked()


@pytest.mark.parametrize("theme", THEMES)
def test_the_dialog_can_be_read(lab: LabPage, theme: str):
    use_theme(lab, theme)
    dialog = open_launch_dialog(lab, "box")
    expect(field(lab, "lease")).to_contain_text("Costs at most")
    fill_lease(lab, "x", "hours")
    accept(lab, "Launch")
    lease = field(lab, "lease")
    expect(lease.get_by_role("alert")).to_be_visible()
    for part in ("label", ".jp-RemoteKernels-cost", ".jp-RemoteKernels-fieldError", "select"):
        assert contrast(lease.locator(part).first) >= 4.5, part
    assert contrast(dialog.locator(".jp-RemoteKernels-description")) >= 4.5
    assert contrast(dialog.locator(".jp-RemoteKernels-checkbox span").first) >= 4.5
    # The focus can be seen.
    expect(control(lab, "lease")).to_be_focused()
    outline = control(lab, "lease").evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline == "solid"
