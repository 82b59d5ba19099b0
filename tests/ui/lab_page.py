"""JupyterLab as a person sees it: what the tests click, type and read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import TimeoutError, expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.ui.lab_server import LabServer

# What the page keeps for the tests: notebooks by id, each kernel's states, deaths of runtimes.
SCRIPT = """
window.remoteKernelsTest = {
  notebook: id => [...window.jupyterapp.shell.widgets('main')].find(w => w.id === id),
  kernel: id => window.remoteKernelsTest.notebook(id)?.sessionContext?.session?.kernel,
  statuses: [],
  exits: [],
  operations: [],
};
"""
_CONNECTED = """
id => {
  const kernel = window.remoteKernelsTest.kernel(id);
  return kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}
"""
_RECORD_STATUSES = """
id => window.remoteKernelsTest.notebook(id).sessionContext.statusChanged.connect(
  (_, status) => void window.remoteKernelsTest.statuses.push(status))
"""
# The socket of events is our own: its `onopen` tells when nothing can be missed any more.
_RECORD_EXITS = """
() => new Promise((resolve, reject) => {
  const settings = window.jupyterapp.serviceManager.serverSettings;
  const query = `?token=${encodeURIComponent(settings.token)}`;
  const socket = new WebSocket(`${settings.wsUrl}api/events/subscribe${query}`);
  socket.onopen = () => resolve();
  socket.onerror = () => reject(new Error('no events'));
  socket.onmessage = async () => {
    const url = `${settings.baseUrl}api/remote-kernels/runtimes${query}`;
    const { runtimes } = await (await fetch(url)).json();
    for (const { id, exit } of runtimes) {
      if (exit) window.remoteKernelsTest.exits.push({ id, ...exit });
    }
  };
})
"""
# JupyterLab's own subscription is open by the time a test has clicked anything.
_RECORD_OPERATIONS = """
() => void window.jupyterapp.serviceManager.events.stream.connect((_, event) => {
  if (event.operation_state === 'succeeded') {
    window.remoteKernelsTest.operations.push(event.runtime_id);
  }
})
"""
# Adds code cells to the end of a notebook, and saves it.
_WRITE_AND_SAVE = """
([id, sources]) => {
  const panel = window.remoteKernelsTest.notebook(id);
  const shared = panel.content.model.sharedModel;
  const last = shared.cells.length - 1;
  if (!shared.getCell(last).getSource()) shared.deleteCell(last);
  for (const source of sources) shared.addCell({cell_type: 'code', source});
  return panel.context.save().then(() => null);
}
"""
# All text of a cell's outputs, as it would be saved.
_TEXT = """
([id, index]) => window.remoteKernelsTest.notebook(id).content.widgets[index].model.outputs
  .toJSON().map(item => [item.text ?? ''].flat().join('')).join('')
"""
# Whether all runs of cells that the server keeps pass a test.
_EXECUTIONS = """
async ([url, state, cell]) => {
  const { executions } = await (await fetch(url)).json();
  return executions.every(one => one.state === state && one.cell_id !== cell);
}
"""


class LabPage:
    """One browser tab with JupyterLab in it.

    Parameters
    ----------
    page : playwright.sync_api.Page
        The tab.
    server : LabServer
        What it shows.
    """

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        page.add_init_script(SCRIPT)

    def open(self, path: str = "/lab") -> LabPage:
        """Load JupyterLab in its initial state: the launcher."""
        self.page.goto(f"{self.server.url}{path}?reset&token={self.server.token}")
        self.page.wait_for_function("() => window.jupyterapp?.shell")
        self.page.evaluate("() => window.jupyterapp.restored.then(() => null)")
        return self

    def execute(self, command: str, **arguments: Any) -> None:
        """Run a JupyterLab command and wait for its end; not for one that opens a dialog."""
        self.page.evaluate(
            "([command, args]) => window.jupyterapp.commands.execute(command, args)"
            ".then(() => null)",
            [command, arguments],
        )

    def new_notebook(self, kernel_name: str = "remote-python") -> Notebook:
        """Open a new notebook with a kernel and wait until the kernel is ready."""
        self.execute("notebook:create-new", kernelName=kernel_name)
        return self.current_notebook()

    def current_notebook(self) -> Notebook:
        """Return the notebook that has the focus, when its kernel is ready."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
        )
        widget_id: str = self.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
        notebook = Notebook(self, widget_id)
        notebook.wait_idle()
        return notebook

    def open_notebook(self, path: str) -> Notebook:
        """Open a notebook that has a kernel; its kernel may be busy."""
        self.execute("docmanager:open", path=path, factory="Notebook")
        self.page.wait_for_function(
            "path => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
            " && window.jupyterapp.shell.currentWidget.context.path === path",
            arg=path,
        )
        return Notebook(self, self.page.evaluate("() => jupyterapp.shell.currentWidget.id"))

    def reopen(self, path: str) -> Notebook:
        """Load the page anew, and open a notebook."""
        return self.open().open_notebook(path)

    def wait_for_executions(self, kernel_id: str, state: str, cell_id: str = "") -> None:
        """Wait until all runs that the server keeps have a state, and none is of a cell."""
        url = f"/api/remote-kernels/runtimes/{kernel_id}/executions?token={self.server.token}"
        self.page.wait_for_function(_EXECUTIONS, arg=[self.server.url + url, state, cell_id])

    def wait_for_file(self, name: str) -> None:
        """Wait until a file is there."""
        self.page.wait_for_function(
            "name => window.jupyterapp.serviceManager.contents.get(name, {content: false})"
            ".then(() => true, () => false)",
            arg=name,
        )

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.locator(".jp-Dialog")

    def button(self, name: str) -> Locator:
        """Return a visible button by its name."""
        return self.page.get_by_role("button", name=name).locator("visible=true")

    def record_exits(self) -> None:
        """From now on keep what REST tells about deaths at the moment of each event."""
        self.page.evaluate(_RECORD_EXITS)

    def record_operations(self) -> None:
        """From now on keep which runtimes an operation succeeded on."""
        self.page.evaluate(_RECORD_OPERATIONS)

    def wait_for_operation(self, runtime_id: str) -> None:
        """Wait for a recorded success."""
        self.page.wait_for_function(
            "id => window.remoteKernelsTest.operations.includes(id)", arg=runtime_id
        )

    def wait_for_exit(self) -> dict[str, Any]:
        """Wait for the first recorded death; returns its cause."""
        self.page.wait_for_function("() => window.remoteKernelsTest.exits.length > 0")
        found: dict[str, Any] = self.page.evaluate("() => window.remoteKernelsTest.exits[0]")
        return found


class Notebook:
    """One open notebook.

    Parameters
    ----------
    lab : LabPage
        Where it is open.
    widget_id : str
        The id of its panel.
    """

    def __init__(self, lab: LabPage, widget_id: str) -> None:
        self.lab = lab
        self.page = lab.page
        self.widget_id = widget_id
        self.panel = lab.page.locator(f'[id="{widget_id}"]')
        self.page.evaluate(_RECORD_STATUSES, widget_id)

    @property
    def kernel_id(self) -> str:
        """The id of its kernel now."""
        found: str = self.page.evaluate(
            "id => window.remoteKernelsTest.kernel(id).id", self.widget_id
        )
        return found

    @property
    def kernel_name(self) -> str:
        """The kernelspec of its kernel now."""
        found: str = self.page.evaluate(
            "id => window.remoteKernelsTest.kernel(id).name", self.widget_id
        )
        return found

    @property
    def path(self) -> str:
        """Where its file is."""
        found: str = self.page.evaluate(
            "id => window.remoteKernelsTest.notebook(id).context.path", self.widget_id
        )
        return found

    def save(self) -> None:
        """Save it under the name that it has."""
        self.page.evaluate(
            "id => window.remoteKernelsTest.notebook(id).context.save().then(() => null)",
            self.widget_id,
        )

    def write_and_save(self, *sources: str) -> None:
        """Put cells with code at the end, and save it."""
        self.page.evaluate(_WRITE_AND_SAVE, [self.widget_id, sources])

    def activate(self) -> None:
        """Bring it to the front."""
        self.page.evaluate("id => window.jupyterapp.shell.activateById(id)", self.widget_id)
        expect(self.panel).to_be_visible()

    def wait_idle(self) -> None:
        """Wait until the kernel is connected and idle."""
        self.page.wait_for_function(_CONNECTED, arg=self.widget_id)

    def wait_for_connection(self, status: str) -> None:
        """Wait until the kernel's connection has this status."""
        self.page.wait_for_function(
            "([id, status]) => window.remoteKernelsTest.kernel(id).connectionStatus === status",
            arg=[self.widget_id, status],
        )

    def wait_for_status(self, status: str) -> None:
        """Wait until the kernel has had this status at any time."""
        self.page.wait_for_function(
            "status => window.remoteKernelsTest.statuses.includes(status)", arg=status
        )

    def cell(self, index: int) -> Cell:
        """Return a cell by its place."""
        return Cell(self, index)

    def last_cell(self) -> Cell:
        """Return the last cell."""
        count: int = self.page.evaluate(
            "id => window.remoteKernelsTest.notebook(id).content.widgets.length", self.widget_id
        )
        return Cell(self, count - 1)

    def start(self, code: str) -> Cell:
        """Put code into the last cell and run it with Shift+Enter; does not wait for its end."""
        cell = self.last_cell()
        cell.write(code)
        cell.press("Shift+Enter")
        # Shift+Enter in the last cell adds one; only then is the next "last cell" a new one.
        expect(self.cell(cell.index + 1).node).to_be_attached()
        return cell

    def start_at(self, index: int) -> Cell:
        """Run the cell at a place; does not wait for its end."""
        cell = self.cell(index)
        cell.editor.click()
        cell.press("Control+Enter")
        cell.expect_running()
        return cell

    def run(self, code: str) -> Cell:
        """Run code as `start` does, and wait for its end."""
        cell = self.start(code)
        cell.expect_done()
        return cell

    def value(self, expression: str) -> str:
        """Return what an expression shows when it is run as a cell."""
        result = self.run(expression).output.locator(
            ".jp-OutputArea-executeResult .jp-OutputArea-output"
        )
        return (result.text_content() or "").strip()

    def press_button(self, name: str) -> None:
        """Press a button of its toolbar."""
        self.panel.get_by_role("button", name=name, exact=True).click()


class Cell:
    """One code cell of a notebook.

    Parameters
    ----------
    notebook : Notebook
        Where it is.
    index : int
        Its place.
    """

    def __init__(self, notebook: Notebook, index: int) -> None:
        self.notebook = notebook
        self.index = index
        # Cells out of sight are not in the document, so the n-th node is not the n-th cell.
        self.node = notebook.panel.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        self.editor = self.node.locator(".jp-InputArea-editor .cm-content")
        self.prompt = self.node.locator(".jp-InputArea-prompt")
        self.output = self.node.locator(".jp-OutputArea")

    def write(self, code: str) -> None:
        """Replace its code."""
        self.editor.click()
        self.editor.fill(code)

    def type(self, code: str) -> None:
        """Type code key by key, as the completer wants it."""
        self.editor.click()
        self.notebook.page.keyboard.type(code)

    def press(self, keys: str) -> None:
        """Press keys in its editor."""
        self.editor.press(keys)

    def answer(self, question: str, answer: str) -> None:
        """Wait for a question of the kernel's, and answer it."""
        asked = self.output.locator(".jp-Stdin", has_text=question)
        asked.locator("input").fill(answer)
        asked.locator("input").press("Enter")

    @property
    def cell_id(self) -> str:
        """Its id, as in the file."""
        found: str = self.notebook.page.evaluate(
            "([id, index]) =>"
            " window.remoteKernelsTest.notebook(id).content.widgets[index].model.id",
            [self.notebook.widget_id, self.index],
        )
        return found

    def expect_text(self, text: str) -> None:
        """Wait until all that it has put out as text is this."""
        place = [self.notebook.widget_id, self.index]
        try:
            self.notebook.page.wait_for_function(
                f"([place, text]) => ({_TEXT})(place) === text", arg=[place, text]
            )
        except TimeoutError:
            found: str = self.notebook.page.evaluate(_TEXT, place)
            assert found == text

    def expect_done(self) -> None:
        """Wait until it has run."""
        expect(self.prompt).to_have_text(re.compile(r"^\[\d+\]:$"))

    def expect_running(self) -> None:
        """Assert that it still runs or waits."""
        expect(self.prompt).to_have_text("[*]:")
