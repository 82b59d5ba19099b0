"""Time reservations: the countdown, the warnings, the extension and the end."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
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

RUNTIMES = "/api/remote-kernels/runtimes"


def launch(lab: LabPage, lease_s: float) -> str:
    """Launch a runtime of the environment "box" with a reservation; returns its id."""
    body = {"environment": "box", "name": "Leased", "lease_s": lease_s}
    found: str = lab.server.api("POST", RUNTIMES, body)["id"]
    return found


def open_notebook(lab: LabPage, runtime_id: str) -> Notebook:
    """Open a new notebook on a runtime."""
    lab.execute("notebook:create-new", kernelId=runtime_id, kernelName="remote-box")
    return lab.current_notebook()


def get(lab: LabPage, runtime_id: str) -> dict[str, Any]:
    """Return what REST says about a runtime."""
    found: dict[str, Any] = lab.server.api("GET", f"{RUNTIMES}/{runtime_id}")
    return found


def end_soon(lab: LabPage, runtime_id: str) -> None:
    """Shorten a reservation so that it is over in about two seconds."""
    runtime = get(lab, runtime_id)
    end = datetime.fromisoformat(runtime["expires_at"].replace("Z", "+00:00"))
    left_s = (end - datetime.now(timezone.utc)).total_seconds()
    body = {"lease_s": runtime["lease_s"] - left_s + 2}
    lab.server.api("PATCH", f"{RUNTIMES}/{runtime_id}", body)


def banner(notebook: Notebook) -> Locator:
    """Return the banner above a notebook."""
    return notebook.panel.locator(".jp-RemoteKernels-banner")


def badge(notebook: Notebook) -> Locator:
    """Return the badge in the toolbar of a notebook."""
    return notebook.panel.locator(".jp-RemoteKernels-badge")


class TestWarnings:
    def test_five_minutes_before_the_end_once_however_many_notebooks(self, lab: LabPage):
        runtime_id = launch(lab, 310)
        first = open_notebook(lab, runtime_id)
        second = open_notebook(lab, runtime_id)
        expect(badge(second)).to_contain_text("5 min left")
        # From here on the seconds are shown, in words and with another icon.
        expect(badge(second)).to_contain_text(re.compile(r"[45]:\d\d left"))
        expect(badge(second)).to_have_attribute("data-short", "true")
        expect(banner(second)).to_contain_text("variables are lost at")
        expect(toast(lab, "Leased ends in 5 min")).to_have_count(1)
        shown = badge(second).text_content() or ""
        expect(badge(second)).not_to_have_text(shown)
        open_panel(lab)
        expect(row(lab, runtime_id)).to_contain_text(re.compile(r"4:\d\d left"))
        banner(second).get_by_role("button", name="Extend by 30 min").click()
        expect(banner(second)).to_have_count(0)
        expect(toast(lab, "Leased ends in")).to_have_count(0)
        expect(badge(second)).to_contain_text("34 min left")
        assert get(lab, runtime_id)["lease_s"] == 2110
        # The focus is not lost with the banner that had it.
        assert lab.page.evaluate("() => document.activeElement !== document.body")
        first.activate()
        expect(banner(first)).to_have_count(0)
        expect(badge(first)).to_contain_text("34 min left")

    def test_one_minute_before_the_end(self, lab: LabPage):
        runtime_id = launch(lab, 64)
        notebook = open_notebook(lab, runtime_id)
        # A reservation shorter than five minutes was chosen so, and is not warned of then.
        expect(toast(lab, "Leased ends in 1 min")).to_have_count(1)
        expect(toast(lab, "Leased ends in")).to_have_count(1)
        expect(banner(notebook)).to_have_attribute("data-level", "60")
        # Said once, and not at every tick.
        spoken = banner(notebook).get_by_role("status")
        expect(spoken).to_have_text(re.compile(r"^Leased: variables are lost at \d\d:\d\d.*\.$"))
        expect(badge(notebook).get_by_role("timer")).to_have_attribute("aria-live", "off")
        toast(lab, "Leased ends in").get_by_role("button", name="Extend by 30 min").click()
        expect(banner(notebook)).to_have_count(0)
        expect(badge(notebook)).to_contain_text(re.compile(r"3\d min left"))

    def test_a_page_that_is_loaded_late_is_told_as_well(self, lab: LabPage):
        notebook = open_notebook(lab, launch(lab, 302))
        expect(banner(notebook)).to_be_visible()
        lab.page.reload()
        lab.page.wait_for_function("() => window.jupyterapp?.shell")
        expect(toast(lab, "Leased ends in")).to_have_count(1)
        expect(lab.page.locator(".jp-RemoteKernels-banner")).to_be_visible()

    def test_is_dismissed_with_the_keyboard(self, lab: LabPage):
        notebook = open_notebook(lab, launch(lab, 302))
        other = banner(notebook).get_by_role("button", name="Choose another end")
        other.focus()
        lab.page.keyboard.press("Escape")
        expect(banner(notebook)).to_have_count(0)
        expect(toast(lab, "Leased ends in")).to_have_count(0)
        assert lab.page.evaluate("() => document.activeElement !== document.body")


class TestExtension:
    def test_by_the_menu_of_the_badge(self, lab: LabPage):
        runtime_id = launch(lab, 1000)
        notebook = open_notebook(lab, runtime_id)
        expect(badge(notebook)).to_contain_text("min left")
        badge(notebook).click()
        lab.page.get_by_role("menuitem", name="Extend Reservation…").click()
        time = field(lab, "time")
        expect(time).to_contain_text("Costs up to 3 credits more.")
        time.locator("input").fill("5")
        time.locator("select").select_option("hours")
        accept(lab, "Set")
        expect(time.get_by_role("alert")).to_have_text("This environment allows at most 2 h.")
        expect(time.locator("input")).to_be_focused()
        time.locator("input").fill("1")
        lab.page.keyboard.press("Enter")
        expect(lab.dialog).to_have_count(0)
        expect(badge(notebook)).to_contain_text("1 h 1")
        assert get(lab, runtime_id)["lease_s"] == 4600

    def test_shortened_from_the_row(self, lab: LabPage):
        runtime_id = launch(lab, 3600)
        open_panel(lab)
        mine = row(lab, runtime_id)
        expect(mine).to_contain_text("min left")
        choose_more(lab, mine, "Extend Reservation…")
        field(lab, "mode").locator("select").select_option("in")
        field(lab, "time").locator("input").fill("10")
        field(lab, "time").locator("select").select_option("minutes")
        expect(field(lab, "time")).to_contain_text("Saves up to")
        accept(lab, "Set")
        expect(mine).to_contain_text(re.compile(r"(10|9) min left"))

    def test_paused_at_the_end_instead(self, lab: LabPage):
        runtime_id = launch(lab, 310)
        notebook = open_notebook(lab, runtime_id)
        notebook.run("x = 1")
        expect(banner(notebook)).to_contain_text("variables are lost at")
        before = get(lab, runtime_id)["lease_s"]
        banner(notebook).get_by_role("button", name="Choose another end").click()
        field(lab, "mode").locator("select").select_option("same")
        field(lab, "lease_policy").locator("select").select_option("pause")
        accept(lab, "Set")
        expect(banner(notebook)).to_contain_text("it is paused before")
        after = get(lab, runtime_id)
        assert (after["lease_policy"], after["lease_s"]) == ("pause", before)
        # Or at once: what would be lost is said before.
        toast(lab, "Leased ends in").get_by_role("button", name="Pause Now…").click()
        expect(lab.dialog).to_contain_text("saved: one variable")
        accept(lab, "Pause")
        expect(badge(notebook)).to_have_text("Paused")
        expect(banner(notebook)).to_have_count(0)

    def test_by_the_menu_of_kernels(self, lab: LabPage):
        open_notebook(lab, launch(lab, 1000))
        lab.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        lab.page.get_by_role("menuitem", name="Extend Reservation…").click()
        expect(lab.dialog).to_contain_text("Extend Reservation of Leased")


def test_the_end_is_explained_and_restart_gives_a_new_reservation(lab: LabPage):
    runtime_id = launch(lab, 1800)
    notebook = open_notebook(lab, runtime_id)
    notebook.run("kept = 1")
    open_panel(lab)
    end_soon(lab, runtime_id)
    over = banner(notebook)
    expect(over).to_contain_text("its time reservation is over")
    expect(over).to_contain_text("The notebook is kept.")
    expect(row(lab, runtime_id)).to_contain_text("Ended")
    expect(badge(notebook)).to_have_text("Ended")
    note = toast(lab, "time reservation")
    expect(note).to_have_count(1)
    expect(note.get_by_role("button", name="Restart")).to_be_visible()
    over.get_by_role("button", name="Restart").click()
    expect(over).to_have_count(0)
    notebook.wait_idle()
    assert notebook.value("'kept' in globals()") == "False"
    assert notebook.kernel_id == runtime_id
    expect(badge(notebook)).to_contain_text(re.compile(r"(30|29) min left"))


@pytest.mark.parametrize("theme", THEMES)
def test_warnings_can_be_read(lab: LabPage, theme: str):
    notebook = open_notebook(lab, launch(lab, 302))
    use_theme(lab, theme)
    warning = banner(notebook)
    expect(warning).to_be_visible()
    for part in ("bannerText", "textButton", "countdown"):
        assert contrast(warning.locator(f".jp-RemoteKernels-{part}").first) >= 4.5, part
    for part in ("badgeState", "countdown"):
        assert contrast(badge(notebook).locator(f".jp-RemoteKernels-{part}")) >= 4.5, part
    # A colour is never all: the icon has another shape as well.
    expect(badge(notebook).locator('svg[data-icon$="time-short"]')).to_be_visible()
    expect(warning.locator('svg[data-icon$="time-short"]')).to_be_visible()
