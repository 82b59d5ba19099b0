"""Nothing is lost: what cells put out while nobody, or somebody else, looked at them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.cable import Cable
from tests.ui.lab_page import LabPage
from tests.ui.panel import open_panel, row, toast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Route

    from tests.ui.lab_page import Cell, Notebook
    from tests.ui.lab_server import LabServer

# Goes on whenever a file appears, so that a test says what happens before and what after.
WAIT = """\
import os, time
def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)
    os.remove(name)
"""
NUMBERS = """\
for i in range(500):
    print('line', i, flush=True)
wait_for('go-on')
for i in range(500, 1000):
    print('line', i, flush=True)
"""
LINES = [f"line {i}" for i in range(1000)]


@pytest.fixture
def notebook(lab: LabPage) -> Notebook:
    """A saved notebook whose first cell has defined `wait_for`."""
    notebook = lab.new_notebook()
    notebook.run(WAIT)
    notebook.save()
    return notebook


@pytest.fixture
def browser_page(chromium: Browser) -> Iterator[Page]:
    """A tab of another browser, as of another machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def go_on(server: LabServer, name: str = "go-on") -> None:
    """Let the cell that waits go on."""
    (server.root / name).touch()


def expect_lines(cell: Cell, lines: list[str] = LINES) -> None:
    """Assert that a cell has put out these lines, each once, and nothing else."""
    cell.expect_text("".join(f"{line}\n" for line in lines))


class TestOnePage:
    def test_reload_while_a_cell_runs(self, notebook: Notebook, lab: LabPage):
        notebook.write_and_save(NUMBERS, "'the next cell'")
        running, waiting = notebook.start_at(1), notebook.start_at(2)
        expect(running.output).to_contain_text("line 499")
        notebook = lab.reopen(notebook.path)
        running, waiting = notebook.cell(1), notebook.cell(2)
        expect(running.output).to_contain_text("line 499")
        running.expect_running()
        waiting.expect_running()
        go_on(lab.server)
        running.expect_done()
        expect_lines(running)
        waiting.expect_done()
        expect(waiting.output).to_have_text(re.compile("'the next cell'"))
        assert notebook.value("6 * 7") == "42"

    def test_displays_and_an_answer_after_a_reload(self, notebook: Notebook, lab: LabPage):
        notebook.write_and_save(
            "from IPython.display import HTML, clear_output, display\n"
            "print('old')\n"
            "clear_output()\n"
            "bar = display(HTML('<i id=\"bar\">0 %</i>'), display_id=True)\n"
            "first = input('First?')\n"
            "second = input('Second?')\n"
            "bar.update(HTML('<i id=\"bar\">100 %</i>'))\n"
            "wait_for('go-on')\n"
            "bar.update(HTML('<i id=\"bar\">Done</i>'))\n"
            "first + second"
        )
        cell = notebook.start_at(1)
        cell.answer("First?", "1")
        expect(cell.output).to_contain_text("Second?")
        cell = lab.reopen(notebook.path).cell(1)
        expect(cell.output.locator("#bar")).to_have_text("0 %")
        expect(cell.output).not_to_contain_text("old")
        expect(cell.output).to_contain_text("First? 1")
        cell.answer("Second?", "2")
        expect(cell.output.locator("#bar")).to_have_text("100 %")
        go_on(lab.server)
        cell.expect_done()
        expect(cell.output.locator("#bar")).to_have_text("Done")
        expect(cell.output).to_contain_text("'12'")

    def test_closed_before_the_end_and_opened_after_it(self, notebook: Notebook, lab: LabPage):
        notebook.write_and_save("import sys\n" + NUMBERS + "print('!', file=sys.stderr)\n1 / 0")
        cell = notebook.start_at(1)
        expect(cell.output).to_contain_text("line 499")
        path, kernel_id = notebook.path, notebook.kernel_id
        lab.open()
        go_on(lab.server)
        lab.wait_for_executions(kernel_id, "finished")
        cell = lab.open_notebook(path).cell(1)
        cell.expect_done()
        expect(cell.output).to_contain_text("line 999")
        expect(cell.output).to_contain_text("ZeroDivisionError")

    def test_what_is_saved_is_not_kept(self, notebook: Notebook, lab: LabPage):
        cell = notebook.run("print('seen and saved')")
        notebook.save()
        lab.wait_for_executions(notebook.kernel_id, "finished", cell.cell_id)
        lab.execute("notebook:clear-all-cell-outputs")
        notebook.save()
        notebook = lab.reopen(notebook.path)
        notebook.wait_idle()
        expect(notebook.cell(1).editor).to_contain_text("seen and saved")
        notebook.run("'recovered by now'")
        expect(notebook.cell(1).output).not_to_contain_text("seen")

    def test_cells_that_were_never_saved(self, notebook: Notebook, lab: LabPage):
        path = notebook.path
        notebook.run("print('in a cell', 'saved empty')")
        notebook.run("print('never', 'saved')")
        notebook = lab.reopen(path)
        cell = notebook.cell(1)
        expect(cell.output).to_contain_text("in a cell saved empty")
        expect(cell.editor).to_contain_text("'saved empty'")
        expect(toast(lab, "not in the notebook")).to_contain_text("A cell has run")
        lab.page.get_by_role("button", name="Add to Notebook").click()
        cell = notebook.cell(2)
        expect(cell.editor).to_contain_text("print('never', 'saved')")
        cell.expect_done()
        expect(cell.output).to_contain_text("never saved")

    def test_a_slider_after_a_reload(self, notebook: Notebook, lab: LabPage):
        notebook.write_and_save(
            "import ipywidgets\nslider = ipywidgets.IntSlider(value=10, max=50)\nslider"
        )
        notebook.start_at(1).expect_done()
        notebook = lab.reopen(notebook.path)
        cell = notebook.cell(1)
        cell.output.get_by_role("slider").press("ArrowRight")
        expect(cell.output.locator(".widget-readout")).to_have_text("11")
        assert notebook.value("slider.value") == "11"


class TestSeveralPages:
    def test_another_tab(self, notebook: Notebook, lab: LabPage):
        notebook.write_and_save(NUMBERS)
        cell = notebook.start_at(1)
        expect(cell.output).to_contain_text("line 499")
        path, context = notebook.path, lab.page.context
        lab.page.close()
        other = LabPage(context.new_page(), lab.server).open()
        cell = other.open_notebook(path).cell(1)
        expect(cell.output).to_contain_text("line 499")
        go_on(lab.server)
        cell.expect_done()
        expect_lines(cell)

    def test_another_browser(self, notebook: Notebook, lab: LabPage, browser_page: Page):
        notebook.write_and_save(NUMBERS)
        mine = notebook.start_at(1)
        expect(mine.output).to_contain_text("line 499")
        other = LabPage(browser_page, lab.server).open()
        theirs = other.open_notebook(notebook.path).cell(1)
        expect(theirs.output).to_contain_text("line 499")
        theirs.expect_running()
        go_on(lab.server)
        for cell in (mine, theirs):
            cell.expect_done()
            expect_lines(cell)


class TestLostConnection:
    @pytest.fixture
    def cable(self, tab: Page) -> Cable:
        """What the page of the test is connected through."""
        return Cable(tab)

    @pytest.fixture
    def notebook(self, cable: Cable, lab: LabPage) -> Notebook:
        """A notebook that has defined `wait_for`, connected through the cable."""
        notebook = lab.new_notebook()
        notebook.run(WAIT)
        return notebook

    def test_the_end_comes_while_it_is_cut(self, notebook: Notebook, cable: Cable, lab: LabPage):
        cell = notebook.start(NUMBERS)
        after = notebook.start("'after it'")
        expect(cell.output).to_contain_text("line 499")
        cable.cut()
        go_on(lab.server)
        lab.wait_for_executions(notebook.kernel_id, "finished")
        cell.expect_running()
        cable.mend()
        cell.expect_done()
        expect_lines(cell)
        after.expect_done()
        assert notebook.value("6 * 7") == "42"

    def test_it_goes_on_after_it_was_lost_without_notice(
        self, notebook: Notebook, cable: Cable, lab: LabPage
    ):
        cell = notebook.start(
            f"{NUMBERS}open('is-printed', 'w').close()\n"
            "wait_for('again')\nprint('end', flush=True)\nanswer = input('Really?')"
        )
        expect(cell.output).to_contain_text("line 499")
        cable.go_silent()
        go_on(lab.server)
        lab.wait_for_file("is-printed")
        # What comes live has to be there before it is known what was missed.
        held: list[Route] = []
        lab.page.route("**/executions*", lambda route: held.append(route))
        with lab.page.expect_request("**/executions*"):
            cable.notice()
        go_on(lab.server, "again")
        expect(cell.output).to_contain_text("end")
        cell.expect_running()
        held.pop().continue_()
        lab.page.unroute("**/executions*")
        cell.expect_text("".join(f"{line}\n" for line in [*LINES, "end"]))
        cell.answer("Really?", "yes")
        cell.expect_done()
        assert notebook.value("answer") == "'yes'"

    def test_nothing_is_drawn_anew_when_nothing_is_missing(
        self, notebook: Notebook, cable: Cable, lab: LabPage
    ):
        cell = notebook.start(NUMBERS)
        expect(cell.output).to_contain_text("line 499")
        shown = cell.output.locator(".jp-OutputArea-child")
        shown.evaluate("element => void (element.isTheSame = true)")
        cable.cut()
        with lab.page.expect_response("**/executions*"):
            cable.mend()
        go_on(lab.server)
        cell.expect_done()
        expect_lines(cell)
        assert shown.evaluate("element => element.isTheSame")

    def test_a_cell_that_was_never_sent(self, notebook: Notebook, cable: Cable, lab: LabPage):
        cable.go_silent()
        cell = notebook.start("print('sent', 'at last')")
        cell.expect_running()
        cable.notice()
        expect(toast(lab, "It has not run")).to_be_visible()
        lab.page.get_by_role("button", name="Run Now").click()
        cell.expect_done()
        expect(cell.output).to_contain_text("sent at last")

    def test_a_connection_that_jupyterlab_gives_up(
        self, notebook: Notebook, cable: Cable, lab: LabPage
    ):
        cell = notebook.start(NUMBERS)
        expect(cell.output).to_contain_text("line 499")
        cable.end()
        notebook.wait_for_connection("disconnected")
        # As somebody does who comes back to the tab.
        lab.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        notebook.wait_for_connection("connected")
        go_on(lab.server)
        cell.expect_done()
        expect_lines(cell)

    def test_a_recovered_cell_is_cut_off_too(self, notebook: Notebook, cable: Cable, lab: LabPage):
        notebook.write_and_save(NUMBERS)
        cell = notebook.start_at(notebook.last_cell().index)
        expect(cell.output).to_contain_text("line 499")
        cell = lab.reopen(notebook.path).cell(cell.index)
        expect(cell.output).to_contain_text("line 499")
        cable.cut()
        go_on(lab.server)
        lab.wait_for_executions(cell.notebook.kernel_id, "finished")
        cable.mend()
        cell.expect_done()
        expect_lines(cell)


class TestUnreachableRuntime:
    def test_it_says_so_and_nothing_is_lost(self, lab: LabPage):
        notebook = lab.new_notebook("remote-far")
        notebook.run(WAIT)
        cell = notebook.start(NUMBERS)
        expect(cell.output).to_contain_text("line 499")
        badge = notebook.panel.locator(".jp-RemoteKernels-badge")
        open_panel(lab)
        mine = row(lab, notebook.kernel_id)
        lab.server.unplug()
        try:
            for place in (badge, mine):
                expect(place).to_contain_text("Unreachable since")
                expect(place).to_contain_text(
                    re.compile(r"trying again( in \d+ s)? \(attempt \d+\)")
                )
            expect(badge).to_have_attribute("title", re.compile("The host does not answer."))
            expect(mine).to_contain_text("The host does not answer.")
            go_on(lab.server)
            cell.expect_running()
        finally:
            lab.server.plug_in()
        cell.expect_done()
        expect_lines(cell)
        expect(badge).to_have_text("Running")
        expect(mine).to_contain_text("Running · Idle")
