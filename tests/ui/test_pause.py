"""Pause and resume as a person sees them: the same kernel, and everything there again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.server.processes import labelled_processes
from tests.ui.panel import THEMES, accept, action, contrast, open_panel, row, toast, use_theme

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage, Notebook

STATE = "x = [1, 2]\ny = {'same': x}\ndef double(a): return [2 * i for i in a]"


def open_report(lab: LabPage, notebook: Notebook) -> Locator:
    """Press *Pause* in the notebook's row; returns the dialog with the report."""
    open_panel(lab)
    action(row(lab, notebook.kernel_id), "Pause Kernel").click()
    expect(lab.dialog).to_contain_text("Pause Kernel?")
    return lab.dialog


def pause(lab: LabPage, notebook: Notebook) -> Locator:
    """Pause a notebook's kernel; returns its row."""
    report = open_report(lab, notebook)
    expect(report).to_contain_text("saved")
    accept(lab, "Pause")
    mine = row(lab, notebook.kernel_id)
    expect(mine).to_contain_text("Paused")
    return mine


def processes(lab: LabPage, runtime_id: str) -> dict[int, str]:
    """Return what is left of a runtime's job."""
    return labelled_processes(lab.server.data_dir, f"jrk-{runtime_id}")


def is_paused(lab: LabPage, runtime_id: str) -> bool:
    """Ask the server."""
    runtime = lab.server.api("GET", f"/api/remote-kernels/runtimes/{runtime_id}")
    return bool(runtime["phase"] == "paused")


def test_everything_is_there_again(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    notebook.save()
    kernel_id = notebook.kernel_id
    mine = pause(lab, notebook)
    expect(toast(lab, "is paused")).to_be_visible()
    expect(mine).to_contain_text("saved")
    assert processes(lab, kernel_id) == {}
    # The next cell brings it back.
    assert notebook.value("y['same'] is x, double(x)") == "(True, [2, 4])"
    assert notebook.kernel_id == kernel_id
    expect(notebook.cell(1).prompt).to_have_text("[2]:")
    expect(mine).to_contain_text("Running · Idle")
    assert processes(lab, kernel_id) != {}


def test_looking_does_not_wake_it(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    notebook.save()
    kernel_id, path = notebook.kernel_id, notebook.path
    pause(lab, notebook)
    cell = notebook.last_cell()
    cell.type("doub")
    cell.press("Tab")
    cell.press("Shift+Tab")
    cell.press("Escape")
    cell.write("")
    notebook = lab.reopen(path)
    expect(notebook.panel.locator(".jp-NotebookPanel-toolbar")).to_contain_text("Paused")
    assert notebook.kernel_id == kernel_id
    # What was asked before is answered before this.
    assert is_paused(lab, kernel_id)
    assert processes(lab, kernel_id) == {}
    assert notebook.value("double(x)") == "[2, 4]"
    assert notebook.kernel_id == kernel_id


def test_held_cell_is_interrupted(lab: LabPage):
    lab.execute("notebook:create-new", kernelName="remote-queued")
    lab.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
    )
    kernel_id: str = lab.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id"
    )
    lab.server.leave_queue(kernel_id)
    notebook = lab.current_notebook()
    notebook.run(STATE)
    mine = pause(lab, notebook)
    # It waits in the queue on its way back, and the cell with it.
    cell = notebook.start("x.append(3)")
    expect(mine).to_contain_text("Resuming")
    cell.expect_running()
    lab.execute("notebook:interrupt-kernel")
    expect(cell.prompt).to_have_text("[ ]:")
    lab.server.leave_queue(kernel_id)
    expect(mine).to_contain_text("Running · Idle")
    assert notebook.value("x") == "[1, 2]"


def test_report_names_what_is_lost(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run("numbers = (i for i in range(3))\nkept = 1")
    report = open_report(lab, notebook)
    lost = report.locator(".jp-RemoteKernels-report li")
    expect(lost).to_have_count(1)
    expect(lost).to_contain_text("numbers (generator")
    expect(lost).to_contain_text("not saved")
    accept(lab, "Cancel")
    expect(row(lab, notebook.kernel_id)).to_contain_text("Running · Idle")
    assert notebook.value("next(numbers)") == "0"


def test_resume_from_its_row(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    mine = pause(lab, notebook)
    expect(action(mine, "Pause Kernel")).to_have_count(0)
    action(mine, "Resume Kernel").click()
    expect(mine).to_contain_text("Running · Idle")
    expect(toast(lab, "is running again")).to_be_visible()
    assert notebook.value("double(x)") == "[2, 4]"


@pytest.mark.parametrize("theme", THEMES)
def test_report_can_be_read(lab: LabPage, theme: str):
    use_theme(lab, theme)
    notebook = lab.new_notebook()
    notebook.run("numbers = (i for i in range(3))")
    report = open_report(lab, notebook)
    lost = report.locator(".jp-RemoteKernels-report li")
    expect(lost).to_contain_text("not saved")
    assert contrast(lost) >= 4.5
