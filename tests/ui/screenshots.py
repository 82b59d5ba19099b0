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
from tests.ui.panel import (
    THEMES,
    accept,
    action,
    environment_row,
    field,
    open_launch_dialog,
    open_panel,
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
            lab.open()
        _take_warning(lab, directory / f"reservation-{name}.png")
        _take_dialogs(lab, directory, name)
        _take_usage(lab, directory / f"usage-{name}.png")
        page.close()
        server.shut_down_sessions()


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
