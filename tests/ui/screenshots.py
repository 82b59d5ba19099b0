"""Pictures for the docs: ``python -m tests.ui.screenshots DIRECTORY``."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.ui.conftest import CHROMIUM_ARGUMENTS, find_chromium
from tests.ui.lab_page import LabPage
from tests.ui.lab_server import QUEUE_WORDS, LabServer

_CONFIG = """\
c.RemoteKernels.environments = {
    "python": {"display_name": "Python (remote)", "provider": "local"},
    "large": {
        "display_name": "Large Memory",
        "provider": "local",
        "resources": {"memory": "2GiB"},
    },
    "cluster": {"display_name": "Cluster Queue", "provider": "queueing"},
}
"""
_THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
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
    for name, theme in _THEMES.items():
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.set_default_timeout(30_000)
        lab = LabPage(page, server).open()
        lab.execute("apputils:change-theme", theme=theme)
        page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=theme)
        expect(page.locator(".jp-LauncherCard", has_text="Python (remote)").first).to_be_visible()
        page.screenshot(path=directory / f"launcher-{name}.png")
        _take_notebook(lab, page, directory, name)
        page.close()
        server.shut_down_sessions()


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
