"""Pictures for the docs: ``python -m tests.ui.screenshots DIRECTORY``."""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.ui.conftest import CHROMIUM_ARGUMENTS, find_chromium
from tests.ui.lab_page import LabPage
from tests.ui.lab_server import QUEUE_WORDS, LabServer
from tests.ui.panel import (
    THEMES,
    accept,
    action,
    choose_more,
    environment_row,
    field,
    open_launch_dialog,
    open_panel,
    row,
    section,
    toast,
    use_theme,
)

_CONFIG = """\
c.RemoteKernels.environments = {
    "python": {"display_name": "Python (remote)", "provider": "local"},
    "large": {
        "display_name": "Large Memory",
        "description": "For training and for tables that fit nowhere else.",
        "provider": "local",
        "resources": {"cpu": 1, "memory": "2GiB"},
        "max_resources": {"cpu": 2, "memory": "8GiB"},
        "credits_per_hour": 12,
        "default_lease_s": 7200,
        "max_lease_s": 86400,
        "example_notebook": "examples/start.ipynb",
    },
    "cluster": {"display_name": "Cluster Queue", "provider": "queueing"},
    "workstation": {"display_name": "Workstation", "provider": "plug"},
}
c.RemoteKernels.credits_budget = 100.0
"""
_THEMES = {"light": THEMES[0], "dark": THEMES[1], "contrast": THEMES[2]}
# Pictures of what has looked the same before are not taken a third time.
_ONLY_NEW = {"contrast"}
_PLOT = """\
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 6, 300)
plt.figure(figsize=(5, 2.2))
plt.plot(x, np.sin(x), label="sin")
plt.plot(x, np.cos(x), label="cos")
_ = plt.legend()"""


def take_all(browser: Browser, server: LabServer, directory: Path) -> None:
    """Take every picture in every theme."""
    for volume in ("datasets", "models"):
        created = server.api("POST", "/api/remote-kernels/volumes", {"name": volume})
        Path(created["path"], "content.bin").write_bytes(bytes(len(volume) * 3_000_000))
    for name, theme in _THEMES.items():
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.set_default_timeout(30_000)
        lab = LabPage(page, server).open()
        use_theme(lab, theme)
        if name not in _ONLY_NEW:
            card = page.locator(".jp-LauncherCard", has_text="Python (remote)").first
            expect(card).to_be_visible()
            page.screenshot(path=directory / f"launcher-{name}.png")
            _take_notebook(lab, page, directory, name)
            server.shut_down_sessions()
            _take_unreachable(lab.open(), directory / f"unreachable-{name}.png")
            server.shut_down_sessions()
            _take_pause(lab.open(), directory, name)
            server.shut_down_sessions()
            lab.open()
        _take_states(lab, directory, name)
        server.shut_down_sessions()
        lab.open()
        _take_warning(lab, directory / f"reservation-{name}.png")
        _take_dialogs(lab, directory, name)
        _take_usage(lab, directory / f"usage-{name}.png")
        page.close()
        server.shut_down_sessions()


def _take_unreachable(lab: LabPage, path: Path) -> None:
    notebook = lab.new_notebook("remote-workstation")
    cell = notebook.start(
        "import time\nfor epoch in range(1, 100):\n    print('epoch', epoch, flush=True)\n"
        "    time.sleep(0.2)"
    )
    expect(cell.output).to_contain_text("epoch 12")
    open_panel(lab)
    lab.server.unplug()
    again = re.compile(r"trying again in [2-9] s")
    expect(notebook.panel.locator(".jp-RemoteKernels-badge")).to_contain_text(again)
    expect(row(lab, notebook.kernel_id)).to_contain_text(again)
    lab.page.screenshot(path=path)
    lab.server.plug_in()
    cell.expect_done()


def _take_pause(lab: LabPage, directory: Path, name: str) -> None:
    """The report before a pause, and the paused kernel after it."""
    notebook = lab.new_notebook()
    notebook.run(
        "import numpy as np\nimport sqlite3\nvalues = np.random.rand(4_000_000)\n"
        "lines = (line for line in open('log.txt', 'a+'))\n"
        "database = sqlite3.connect(':memory:').cursor()"
    )
    open_panel(lab)
    mine = row(lab, notebook.kernel_id)
    action(mine, "Pause Kernel").click()
    expect(lab.dialog.locator(".jp-RemoteKernels-report li").first).to_be_visible()
    lab.page.screenshot(path=directory / f"pause-{name}.png")
    accept(lab, "Pause")
    expect(mine).to_contain_text("Paused")
    expect(toast(lab, "is paused")).to_be_visible()
    lab.page.screenshot(path=directory / f"paused-{name}.png")
    notebook.run("values.mean() > 0")
    told = toast(lab, "goes on without")
    told.get_by_role("button", name="Show Report").click()
    expect(lab.dialog.locator("pre").first).to_be_visible()
    lab.page.screenshot(path=directory / f"report-{name}.png")
    accept(lab, "Close")


def _take_states(lab: LabPage, directory: Path, name: str) -> None:
    """Variables on their way to another kernel, and the snapshots in the panel."""
    target = lab.new_notebook("python3")
    target.run("model = None")
    source = lab.new_notebook()
    source.run(
        "import numpy as np\nvalues = np.random.rand(4_000_000)\n"
        "def clean(table):\n    return table.dropna()\n"
        "model = {'weights': values[:1000]}\n"
        "lines = (line for line in open('log.txt', 'a+'))"
    )
    section(lab, "Snapshots")
    lab.page.locator(".lm-AccordionPanel-title", has_text="Environments").click()
    runtimes = f"/api/remote-kernels/runtimes/{source.kernel_id}"
    for title in ("Raw data", "Before the fit"):
        lab.server.api("POST", f"{runtimes}/snapshots", {"name": title})
        rows = lab.page.locator(".jp-RemoteKernels-snapshot", has_text=title)
        expect(rows.first).to_be_visible()
    rows.first.locator("summary").click()
    row(lab, source.kernel_id).click(modifiers=["Control"])
    lab.page.screenshot(path=directory / f"snapshots-{name}.png")
    choose_more(lab, row(lab, source.kernel_id), "Transfer State…")
    field(lab, "target").locator("select").select_option(target.kernel_id)
    field(lab, "on_conflict").locator("select").select_option("replace")
    expect(field(lab, "on_conflict")).to_contain_text("Replaced in")
    lab.page.screenshot(path=directory / f"transfer-{name}.png")
    lab.page.keyboard.press("Escape")
    choose_more(lab, row(lab, source.kernel_id), "Move to…")
    field(lab, "environment").locator("select").select_option("large")
    expect(field(lab, "lease")).to_contain_text("Costs at most")
    expect(lab.dialog).to_contain_text("These will not be as they are now")
    lab.page.screenshot(path=directory / f"move-{name}.png")
    lab.page.keyboard.press("Escape")
    for snapshot in lab.server.api("GET", "/api/remote-kernels/snapshots")["snapshots"]:
        lab.server.api("DELETE", f"/api/remote-kernels/snapshots/{snapshot['id']}")


def _take_warning(lab: LabPage, path: Path) -> None:
    body = {"environment": "large", "name": "Training", "lease_s": 301}
    created = lab.server.api("POST", "/api/remote-kernels/runtimes", body)
    lab.execute("notebook:create-new", kernelId=created["id"], kernelName="remote-large")
    notebook = lab.current_notebook()
    notebook.run("import statistics\nlosses = [0.91, 0.42, 0.17]\nstatistics.mean(losses)")
    expect(notebook.panel.locator(".jp-RemoteKernels-banner")).to_be_visible()
    warning = toast(lab, "ends in 5 min")
    expect(warning).to_be_visible()
    # It comes in from the side.
    warning.evaluate(
        "element => Promise.all(element.getAnimations({subtree: true}).map(one => one.finished))"
        ".then(() => null)"
    )
    open_panel(lab)
    lab.page.screenshot(path=path)


def _take_dialogs(lab: LabPage, directory: Path, name: str) -> None:
    dialog = open_launch_dialog(lab, "large")
    dialog.locator("summary", has_text="Resources").click()
    expect(field(lab, "lease")).to_contain_text("Costs at most")
    expect(field(lab, "volumes")).to_contain_text("models")
    lab.page.screenshot(path=directory / f"launch-{name}.png")
    lab.page.keyboard.press("Escape")
    action(environment_row(lab, "large"), "Duplicate").click()
    lab.dialog.locator("summary", has_text="Time and credits").click()
    field(lab, "provider").locator("input").fill("clster")
    accept(lab, "Save")
    expect(field(lab, "provider").get_by_role("alert")).to_be_visible()
    lab.page.screenshot(path=directory / f"editor-{name}.png")
    lab.page.keyboard.press("Escape")


def _take_usage(lab: LabPage, path: Path) -> None:
    # The others are folded, so that all of it can be seen.
    for title in ("Runtimes", "Environments"):
        lab.page.locator(".lm-AccordionPanel-title", has_text=title).click()
    expect(section(lab, "Usage").get_by_role("table", name="Days")).to_be_visible()
    lab.page.screenshot(path=path)


def _take_notebook(lab: LabPage, page: Page, directory: Path, name: str) -> None:
    notebook = lab.new_notebook()
    notebook.run(_PLOT)
    notebook.run("import platform; platform.python_version()")
    expect(notebook.panel.locator(".jp-RemoteKernels-badge")).to_have_text("Running")
    page.screenshot(path=directory / f"notebook-{name}.png")
    for environment, title in (("large", "Training"), ("cluster", "Parameter sweep")):
        launch = {"environment": environment, "name": title}
        lab.server.api("POST", "/api/remote-kernels/runtimes", launch)
    lab.execute("remote-kernels:open-panel")
    rows = page.locator(".jp-RemoteKernels-runtime")
    expect(rows.filter(has_text="Running · Idle")).to_have_count(2)
    expect(rows.filter(has_text=QUEUE_WORDS)).to_have_count(1)
    # The agents report what their kernels use every few seconds.
    expect(page.locator(".jp-RemoteKernels-usage", has_text="CPU")).to_have_count(2)
    page.screenshot(path=directory / f"panel-{name}.png")


def main() -> None:
    """Start JupyterLab and Chromium, take the pictures, stop both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=30_000)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LabServer(Path(folder), _CONFIG)
        server.start()
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*CHROMIUM_ARGUMENTS, *sandbox]
        )
        try:
            take_all(browser, server, directory)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
