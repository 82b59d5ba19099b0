"""Several runtimes at once, and the menus that lead to what can be done with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.ui.panel import accept, action, open_panel, row, toast

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage

MENU = [
    "Pause Kernel…",
    "Resume Kernel",
    "Snapshot…",
    "Transfer State…",
    "Move to…",
    "Extend Reservation…",
    "Kernel Logs",
]


def chosen(lab: LabPage) -> Locator:
    """Return what is above the list while rows are selected."""
    return lab.page.get_by_role("group", name="Selected runtimes")


def test_paused_and_terminated_together(lab: LabPage):
    first = lab.new_notebook()
    first.run("numbers = (i for i in range(3))")
    second = lab.new_notebook()
    second.run("x = 1")
    open_panel(lab)
    rows = [row(lab, notebook.kernel_id) for notebook in (first, second)]
    rows[0].click(modifiers=["Control"])
    expect(chosen(lab)).to_contain_text("1 selected")
    rows[1].hover()
    rows[1].get_by_role("checkbox").check()
    expect(chosen(lab)).to_contain_text("2 selected")
    chosen(lab).get_by_role("button", name="Pause…").click()
    expect(lab.dialog).to_contain_text("Pause 2 Kernels?")
    # What each of them would lose is said before.
    expect(lab.dialog.locator(".jp-RemoteKernels-report li")).to_contain_text("numbers")
    expect(lab.dialog.get_by_text("saved: one variable")).to_be_visible()
    accept(lab, "Pause")
    for mine in rows:
        expect(mine).to_contain_text("Paused")
    # One keeps what it has saved under a name, the other one does not.
    snapshots = lab.server.api("GET", "/api/remote-kernels/snapshots")["snapshots"]
    kept = next(one for one in snapshots if one["runtime_id"] == second.kernel_id)
    lab.server.api("PATCH", f"/api/remote-kernels/snapshots/{kept['id']}", {"name": "Kept"})
    chosen(lab).get_by_role("button", name="Terminate…").click()
    expect(lab.dialog).to_contain_text("nobody keeps what it has saved")
    expect(lab.dialog).to_contain_text("stay in the snapshot Kept")
    accept(lab, "Terminate")
    for mine in rows:
        expect(mine).to_have_count(0)
    expect(chosen(lab)).to_have_count(0)
    for snapshot in lab.server.api("GET", "/api/remote-kernels/snapshots")["snapshots"]:
        lab.server.api("DELETE", f"/api/remote-kernels/snapshots/{snapshot['id']}")


def test_selected_by_keyboard(lab: LabPage):
    ids = [lab.new_notebook().kernel_id for _ in range(3)]
    open_panel(lab)
    keyboard = lab.page.keyboard
    # The newest comes first.
    row(lab, ids[2]).focus()
    keyboard.press("Space")
    expect(chosen(lab)).to_contain_text("1 selected")
    keyboard.press("Shift+ArrowDown")
    expect(chosen(lab)).to_contain_text("2 selected")
    expect(row(lab, ids[1])).to_be_focused()
    keyboard.press("Control+a")
    expect(chosen(lab)).to_contain_text("3 selected")
    keyboard.press("Escape")
    expect(chosen(lab)).to_have_count(0)
    row(lab, ids[0]).focus()
    keyboard.press("Space")
    keyboard.press("Shift+Home")
    keyboard.press("Delete")
    expect(lab.dialog).to_contain_text("Terminate 3 Runtimes?")
    expect(lab.dialog.get_by_role("button", name="Terminate 3 runtimes")).to_be_focused()
    keyboard.press("Enter")
    expect(lab.page.locator(".jp-RemoteKernels-runtime")).to_have_count(0)


def test_menus_have_it_all(lab: LabPage):
    notebook = lab.new_notebook()
    kernel_menu = lab.page.get_by_role("menuitem", name="Kernel", exact=True)
    kernel_menu.click()
    for name in MENU:
        expect(lab.page.get_by_role("menuitem", name=name)).to_be_visible()
    labels = lab.page.locator(".lm-Menu-itemLabel").all_text_contents()
    assert [label for label in labels if label in MENU] == MENU
    lab.page.get_by_role("menuitem", name="Kernel Logs").click()
    expect(lab.page.get_by_role("tab", name="Log: Python (remote)")).to_be_visible()
    notebook.activate()
    notebook.panel.locator(".jp-RemoteKernels-badge").click()
    for name in ("Pause Kernel…", "Snapshot…", "Transfer State…", "Move to…"):
        expect(lab.page.get_by_role("menuitem", name=name)).to_be_visible()
    lab.page.keyboard.press("Escape")


def test_what_was_not_saved_is_made_again(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run("numbers = (i for i in range(3))")
    made = notebook.cell(0)
    notebook.save()
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    action(mine, "Pause Kernel").click()
    expect(lab.dialog).to_contain_text("made by cell [1]")
    accept(lab, "Pause")
    expect(mine).to_contain_text("Paused")
    # Whoever runs a cell is told what is not there, and nothing is run unasked.
    assert notebook.value("'numbers' in dir()") == "False"
    told = toast(lab, "goes on without numbers")
    told.get_by_role("button", name="Show Report").click()
    expect(lab.dialog.locator("pre")).to_have_text("numbers = (i for i in range(3))")
    lab.dialog.get_by_role("button", name="Run the cell that made numbers").click()
    expect(lab.dialog.get_by_role("status")).to_have_text("Done.")
    accept(lab, "Close")
    expect(made.prompt).to_have_text("[3]:")
    assert notebook.value("next(numbers)") == "0"
