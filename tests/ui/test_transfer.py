"""Variables on their way to another kernel, and a runtime to another place, in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.ui.panel import (
    THEMES,
    accept,
    choose_more,
    contrast,
    field,
    open_panel,
    row,
    toast,
    use_theme,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage, Notebook

STATE = "x = [1, 2]\nz = 3\nlines = (i for i in range(3))"


def open_dialog(lab: LabPage, source: Notebook, target: Notebook) -> Locator:
    """Open the dialog from the row of a runtime, with another kernel as the target."""
    open_panel(lab)
    choose_more(lab, row(lab, source.kernel_id), "Transfer State…")
    expect(lab.dialog).to_contain_text("Transfer State")
    field(lab, "target").locator("select").select_option(target.kernel_id)
    return lab.dialog


def test_from_a_runtime_to_an_ordinary_kernel(lab: LabPage):
    target = lab.new_notebook("python3")
    target.run("x = 'mine'")
    source = lab.new_notebook()
    source.run(STATE)
    open_dialog(lab, source, target)
    variables = field(lab, "variables")
    expect(variables.locator('[data-variable="lines"]')).to_contain_text("Cannot be carried")
    expect(variables.get_by_role("checkbox", name="lines")).to_be_disabled()
    expect(variables).to_contain_text("2 of 3 chosen")
    # A name that both have is a question before anything is sent.
    expect(field(lab, "on_conflict")).to_contain_text("has these, too: x.")
    accept(lab, "Transfer")
    expect(field(lab, "on_conflict").get_by_role("alert")).to_be_visible()
    field(lab, "on_conflict").locator("select").select_option("rename")
    accept(lab, "Transfer")
    done = toast(lab, "Transferred to")
    expect(done).to_contain_text("Under other names: x → ")
    done.get_by_role("button", name="Show Report").click()
    expect(lab.dialog).to_contain_text("lines (generator")
    accept(lab, "Close")
    target.activate()
    assert target.value("x, z, sorted(n for n in dir() if n.startswith('x'))").startswith(
        "('mine', 3, ['x', 'x_"
    )


def test_from_an_ordinary_kernel_by_keyboard(lab: LabPage):
    target = lab.new_notebook()
    source = lab.new_notebook("python3")
    source.run("a = 1\nb = 2")
    # The current notebook is where the variables come from; its kernel is none of ours.
    lab.page.get_by_role("menuitem", name="Kernel", exact=True).click()
    lab.page.get_by_role("menuitem", name="Transfer State…").click()
    expect(field(lab, "source").locator("select")).to_have_value(source.kernel_id)
    expect(field(lab, "target").locator("select")).to_have_value(target.kernel_id)
    variables = field(lab, "variables")
    variables.get_by_role("checkbox", name="b", exact=True).focus()
    lab.page.keyboard.press("Space")
    expect(variables).to_contain_text("1 of 2 chosen")
    # Enter does what the dialog is for, wherever the focus is.
    field(lab, "on_conflict").locator("select").focus()
    lab.page.keyboard.press("Enter")
    expect(toast(lab, "Transferred to")).to_contain_text("One variable")
    target.activate()
    assert target.value("a, 'b' in dir()") == "(1, False)"


def test_busy_kernel_is_waited_for_and_called_off(lab: LabPage):
    target = lab.new_notebook()
    source = lab.new_notebook()
    source.run("x = 1")
    cell = source.start("import time\nwhile True: time.sleep(0.1)")
    expect(row(lab, source.kernel_id)).to_contain_text("Busy")
    open_dialog(lab, source, target)
    expect(field(lab, "variables")).to_contain_text("when it is idle")
    accept(lab, "Transfer")
    toast(lab, "Transferring to").get_by_role("button", name="Cancel").click()
    expect(toast(lab, "was called off")).to_be_visible()
    lab.execute("notebook:interrupt-kernel")
    cell.expect_done()
    target.activate()
    assert target.value("'x' in dir()") == "False"


def test_moved_to_another_environment(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    kernel_id = notebook.kernel_id
    open_panel(lab)
    mine = row(lab, kernel_id)
    choose_more(lab, mine, "Move to…")
    field(lab, "environment").locator("select").select_option("box")
    expect(field(lab, "lease")).to_contain_text("Costs at most 3 credits.")
    expect(lab.dialog).to_contain_text("lines (generator")
    accept(lab, "Move")
    expect(toast(lab, "goes on in Box (remote)")).to_be_visible()
    expect(mine).to_contain_text("Box (remote)")
    assert notebook.value("x, z") == "([1, 2], 3)"
    assert notebook.kernel_id == kernel_id


def test_list_can_be_read_in_every_theme(lab: LabPage):
    target = lab.new_notebook("python3")
    source = lab.new_notebook()
    source.run(STATE)
    open_dialog(lab, source, target)
    variables = field(lab, "variables")
    expect(variables.locator("tbody tr")).to_have_count(3)
    for theme in THEMES:
        use_theme(lab, theme)
        for part in ("tbody code", ".jp-RemoteKernels-line", "td", ".jp-RemoteKernels-hint"):
            assert contrast(variables.locator(part).first) >= 4.5, (theme, part)
