"""A person's day in a notebook on a remote kernel: JupyterLab in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers import cgroups

if TYPE_CHECKING:
    from tests.ui.lab_page import LabPage, Notebook

ENVIRONMENT = "Python (remote)"


@pytest.fixture
def notebook(lab: LabPage) -> Notebook:
    """A new notebook on the remote kernel, ready."""
    return lab.new_notebook()


def restarts(notebook: Notebook, lab: LabPage) -> None:
    """Wait until the kernel that died is back, and close what JupyterLab says about it."""
    notebook.wait_for_status("autorestarting")
    expect(lab.dialog).to_contain_text("Kernel Restarting")
    lab.dialog.get_by_role("button", name="Ok").click()
    notebook.wait_idle()


class TestPicking:
    def test_launcher_card(self, lab: LabPage):
        card = lab.page.locator(".jp-LauncherCard", has_text=ENVIRONMENT).first
        expect(card.locator("img")).to_be_visible()
        card.click()
        notebook = lab.current_notebook()
        assert notebook.kernel_name == "remote-python"
        assert notebook.value("6 * 7") == "42"

    def test_select_kernel_dialog(self, notebook: Notebook, lab: LabPage):
        first = notebook.kernel_id
        notebook.panel.get_by_role("button", name=ENVIRONMENT).click()
        choice = lab.dialog.locator("select")
        # Other notebooks' kernels are offered below; these are the kernels to start.
        offered = choice.locator("optgroup").first.locator("option").all_text_contents()
        assert {ENVIRONMENT, "Small (remote)"} <= set(offered)
        choice.select_option(label="Small (remote)")
        lab.dialog.get_by_role("button", name="Select Kernel").click()
        expect(notebook.panel.get_by_role("button", name="Small (remote)")).to_be_visible()
        notebook.wait_idle()
        assert notebook.kernel_name == "remote-small"
        assert notebook.kernel_id != first
        assert notebook.value("1 + 1") == "2"


class TestOutput:
    def test_outputs(self, notebook: Notebook):
        cell = notebook.run(
            "import sys\n"
            "from IPython.display import HTML\n"
            "print('to stdout')\n"
            "print('to stderr', file=sys.stderr)\n"
            "display(HTML('<b id=\"bold\">in bold</b>'))\n"
            "'the result'"
        )
        expect(cell.output).to_contain_text("to stdout")
        expect(cell.output).to_contain_text("to stderr")
        expect(cell.output.locator("b#bold")).to_have_text("in bold")
        expect(cell.output).to_contain_text("'the result'")

    def test_streaming(self, notebook: Notebook, lab: LabPage):
        # The cell goes on only when a file appears, so what is seen before is a part.
        cell = notebook.start(
            "import os, time\n"
            "print('first part', flush=True)\n"
            "while not os.path.exists('go-on'):\n"
            "    time.sleep(0.01)\n"
            "os.remove('go-on')\n"
            "print('second part')"
        )
        expect(cell.output).to_contain_text("first part")
        cell.expect_running()
        expect(cell.output).not_to_contain_text("second part")
        (lab.server.root / "go-on").touch()
        expect(cell.output).to_contain_text("second part")
        cell.expect_done()

    def test_plot(self, notebook: Notebook):
        cell = notebook.run(
            "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9]);\nplt.title('Squares');"
        )
        image = cell.output.locator("img")
        expect(image).to_be_visible()
        # An image that cannot be decoded is visible too, but has no size of its own.
        width = image.evaluate("async image => (await image.decode(), image.naturalWidth)")
        assert width > 200

    def test_error_with_traceback(self, notebook: Notebook):
        cell = notebook.run("def divide():\n    return 1 / 0\n\ndivide()")
        expect(cell.output).to_contain_text("Traceback (most recent call last)")
        expect(cell.output).to_contain_text("return 1 / 0")
        expect(cell.output).to_contain_text("ZeroDivisionError: division by zero")
        assert notebook.value("'goes on'") == "'goes on'"

    def test_20_megabytes(self, notebook: Notebook):
        cell = notebook.run("for _ in range(200):\n    print('0123456789' * 10_000)\nprint('end')")
        length = notebook.page.evaluate(
            "([id, index]) => {"
            " const outputs = window.remoteKernelsTest.notebook(id).content.widgets[index]"
            "   .model.outputs.toJSON();"
            " return outputs.map(item => [item.text].flat().join('').length)"
            "   .reduce((sum, length) => sum + length, 0); }",
            [notebook.widget_id, cell.index],
        )
        assert length == 200 * (100_000 + 1) + len("end\n")


class TestAsking:
    def test_input(self, notebook: Notebook):
        cell = notebook.start("answer = input('Your name? ')\nprint('Hello,', answer)")
        expect(cell.output).to_contain_text("Your name?")
        box = cell.output.locator("input")
        box.fill("Ada")
        box.press("Enter")
        cell.expect_done()
        expect(cell.output).to_contain_text("Hello, Ada")

    def test_slider(self, notebook: Notebook):
        cell = notebook.run(
            "import ipywidgets\nslider = ipywidgets.IntSlider(value=10, max=50)\nslider"
        )
        handle = cell.output.get_by_role("slider")
        handle.focus()
        for _ in range(3):
            handle.press("ArrowRight")
        expect(cell.output.locator(".widget-readout")).to_have_text("13")
        assert notebook.value("slider.value") == "13"
        # And the other way: the kernel moves what the person sees.
        notebook.run("slider.value = 40")
        expect(cell.output.locator(".widget-readout")).to_have_text("40")

    def test_completion(self, notebook: Notebook, lab: LabPage):
        notebook.run("remarkable_first = 1\nremarkable_second = 2")
        cell = notebook.last_cell()
        cell.type("remarkab")
        cell.press("Tab")
        completer = lab.page.locator(".jp-Completer")
        expect(completer).to_contain_text("remarkable_first")
        expect(completer).to_contain_text("remarkable_second")
        cell.press("Enter")
        expect(cell.editor).to_contain_text("remarkable_first")

    def test_inspect(self, notebook: Notebook, lab: LabPage):
        notebook.run('def greet(name):\n    """Say hello to one person."""')
        cell = notebook.last_cell()
        cell.type("greet")
        cell.press("Shift+Tab")
        expect(lab.page.locator(".jp-Tooltip")).to_contain_text("Say hello to one person.")


class TestDebugger:
    def test_breakpoint(self, notebook: Notebook, lab: LabPage):
        # JupyterLab asks once; while the kernel comes up the answer is that there is none.
        notebook.run("pass")
        notebook.press_button("Enable Debugger")
        expect(notebook.panel.get_by_role("button", name="Disable Debugger")).to_be_visible()
        cell = notebook.last_cell()
        cell.write("first = 20\nsecond = first + 1\nprint('sum', first + second)")
        # The first mark of the gutter is an invisible one that only gives it its width.
        line = cell.node.locator(".cm-gutter.cm-breakpoint-gutter > .cm-gutterElement").nth(2)
        line.click()
        expect(line.locator(".cm-breakpoint-icon")).to_be_visible()
        cell.press("Shift+Enter")
        frames = lab.page.locator(".jp-DebuggerCallstackFrame")
        expect(frames.first).to_be_visible()
        variables = lab.page.locator(".jp-DebuggerVariables")
        expect(variables).to_contain_text("first")
        cell.expect_running()
        expect(cell.output).not_to_contain_text("sum")
        lab.button("Continue (F9)").click()
        expect(cell.output).to_contain_text("sum 41")
        cell.expect_done()


class TestKernel:
    def test_interrupt(self, notebook: Notebook):
        cell = notebook.start("print('started', flush=True)\nwhile True:\n    pass")
        expect(cell.output).to_contain_text("started")
        notebook.press_button("Interrupt the kernel")
        cell.expect_done()
        expect(cell.output).to_contain_text("KeyboardInterrupt")
        assert notebook.value("'goes on'") == "'goes on'"

    def test_restart(self, notebook: Notebook, lab: LabPage):
        before = notebook.kernel_id
        notebook.run("kept = 1")
        notebook.press_button("Restart the kernel")
        lab.dialog.get_by_role("button", name="Confirm Kernel Restart").click()
        notebook.wait_for_status("restarting")
        notebook.wait_idle()
        cell = notebook.run("kept")
        expect(cell.output).to_contain_text("NameError")
        assert notebook.kernel_id == before

    def test_death(self, notebook: Notebook, lab: LabPage):
        before = notebook.kernel_id
        notebook.start("import os\nos._exit(1)")
        restarts(notebook, lab)
        assert notebook.value("6 * 7") == "42"
        assert notebook.kernel_id == before

    def test_out_of_memory(self, lab: LabPage):
        notebook = lab.new_notebook("remote-small")
        lab.record_exits()
        cell = notebook.start(
            "block = bytearray(10**9)\nfor i in range(0, 10**9, 4096):\n    block[i] = 1"
        )
        if cgroups.plan("none", Resources(memory_bytes=1)) is None:
            # Without a group of its own the job is limited by its address space.
            expect(cell.output).to_contain_text("MemoryError")
            return
        cause = lab.wait_for_exit()
        assert cause["id"] == notebook.kernel_id
        assert cause["reason"] == "out_of_memory"
        assert "400 MiB" in cause["message"]
        assert "use less memory" in cause["hint"]
        # JupyterLab's dialog and our panel name the cause too, and not only the death.
        expect(lab.dialog).to_contain_text("400 MiB")
        restarts(notebook, lab)
        lab.execute("remote-kernels:open-panel")
        row = lab.page.locator(f'[data-runtime-id="{notebook.kernel_id}"]')
        expect(row).to_contain_text("Restarted.")
        expect(row).to_contain_text("400 MiB")
        assert notebook.value("6 * 7") == "42"


def test_two_notebooks_at_once(lab: LabPage):
    first = lab.new_notebook()
    second = lab.new_notebook()
    assert first.kernel_id != second.kernel_id
    # The first cell can end only while the second notebook's cell runs beside it.
    first.activate()
    waiting = first.start(
        "import os, time\n"
        "while not os.path.exists('from-second'):\n"
        "    time.sleep(0.01)\n"
        "open('from-first', 'w').close()\n"
        "'first is done'"
    )
    second.activate()
    answering = second.start(
        "import os, time\n"
        "open('from-second', 'w').close()\n"
        "while not os.path.exists('from-first'):\n"
        "    time.sleep(0.01)\n"
        "'second is done'"
    )
    answering.expect_done()
    expect(answering.output).to_contain_text("second is done")
    first.activate()
    waiting.expect_done()
    expect(waiting.output).to_contain_text("first is done")
