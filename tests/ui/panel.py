"""The Kernels panel, the dialogs and the notifications as a person sees them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage

THEMES = ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"]


def open_panel(lab: LabPage) -> Locator:
    """Show the panel."""
    lab.execute("remote-kernels:open-panel")
    panel = lab.page.get_by_role("region", name="Remote Kernels")
    expect(panel).to_be_visible()
    return panel


def section(lab: LabPage, title: str) -> Locator:
    """Return a section of the open panel, unfolded."""
    panel = open_panel(lab)
    heading = panel.locator(".lm-AccordionPanel-title", has_text=title)
    if heading.get_attribute("aria-expanded") != "true":
        heading.click()
    return panel.locator(f"#jp-RemoteKernels-panel-{title.lower()}")


def row(lab: LabPage, runtime_id: str) -> Locator:
    """Return the row of a runtime."""
    return lab.page.locator(f'[data-runtime-id="{runtime_id}"]')


def environment_row(lab: LabPage, name: str) -> Locator:
    """Return the row of an environment."""
    return lab.page.locator(f'[data-environment="{name}"]')


def action(parent: Locator, name: str) -> Locator:
    """Return a button of a row by the begin of its name."""
    return parent.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))


def choose_more(lab: LabPage, parent: Locator, name: str) -> None:
    """Choose an action from the menu of a row."""
    parent.hover()
    action(parent, "More Actions").click()
    lab.page.get_by_role("menuitem", name=name).click()


def toast(lab: LabPage, text: str) -> Locator:
    """Return the notification with a text."""
    return lab.page.locator(".Toastify__toast", has_text=text)


def field(lab: LabPage, name: str) -> Locator:
    """Return a field of the dialog with its label, its hint and its error."""
    return lab.dialog.locator(f'[data-field="{name}"]')


def accept(lab: LabPage, label: str) -> None:
    """Press the button of the dialog that does what it is for."""
    lab.dialog.locator(".jp-Dialog-footer").get_by_role("button", name=label).click()


def open_launch_dialog(lab: LabPage, environment: str = "python") -> Locator:
    """Open the launch dialog from the row of an environment."""
    open_panel(lab)
    action(environment_row(lab, environment), "Launch").click()
    expect(lab.dialog).to_contain_text("Launch Remote Kernel")
    return lab.dialog


def use_theme(lab: LabPage, theme: str) -> None:
    """Switch to a theme and wait until it is there."""
    lab.execute("apputils:change-theme", theme=theme)
    lab.page.wait_for_function(
        "name => document.body.dataset.jpThemeName === name && "
        "getComputedStyle(document.body).getPropertyValue('--jp-layout-color1') !== ''",
        arg=theme,
    )


def contrast(element: Locator) -> float:
    """Return WCAG's contrast of a text with the first opaque background behind it."""
    found: float = element.evaluate(_CONTRAST)
    return found


_CONTRAST = """
element => {
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const channel = value => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const luminance = rgb =>
    0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
  let behind = element;
  let back = [255, 255, 255];
  for (; behind; behind = behind.parentElement) {
    const color = parse(getComputedStyle(behind).backgroundColor);
    if (color.length === 3 || color[3] === 1) { back = color; break; }
  }
  const front = parse(getComputedStyle(element).color);
  const alpha = front.length === 4 ? front[3] : 1;
  const seen = [0, 1, 2].map(i => front[i] * alpha + back[i] * (1 - alpha));
  const [light, dark] = [luminance(seen), luminance(back)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}
"""
