"""The sections of the panel that tell of credits and of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.ui.panel import THEMES, accept, action, contrast, field, row, section, toast, use_theme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage
    from tests.ui.lab_server import LabServer

RUNTIMES = "/api/remote-kernels/runtimes"
VOLUMES = "/api/remote-kernels/volumes"


@pytest.fixture(autouse=True)
def no_traces(lab_server: LabServer) -> Iterator[None]:
    """Remove all volumes, after the runtimes that use them."""
    yield
    lab_server.shut_down_sessions()
    for volume in lab_server.api("GET", VOLUMES)["volumes"]:
        lab_server.api("DELETE", f"{VOLUMES}/{volume['name']}")


def figure(usage: Locator, label: str) -> Locator:
    """Return the figure with a label."""
    term = usage.page.locator("dt", has_text=label)
    return usage.locator(".jp-RemoteKernels-figures > div").filter(has=term).locator("dd")


class TestUsage:
    def test_budget_runtimes_and_days(self, lab: LabPage):
        usage = section(lab, "Usage")
        expect(figure(usage, "Budget this month")).to_have_text("50 credits")
        before = figure(usage, "Reserved").text_content()
        body = {"environment": "box", "name": "Paid for", "lease_s": 3600}
        created = lab.server.api("POST", RUNTIMES, body)
        # Nobody pressed a button: the server's events did.
        expect(figure(usage, "Reserved")).not_to_have_text(before or "")
        runtimes = usage.get_by_role("table", name="Runtimes")
        mine = runtimes.get_by_role("row", name="Paid for")
        expect(mine).to_contain_text("Box (remote) · goes on")
        expect(runtimes.get_by_role("row", name="Total")).to_be_visible()
        days = usage.get_by_role("table", name="Days")
        expect(days.get_by_role("row")).to_have_count(3)
        lab.server.api("DELETE", f"{RUNTIMES}/{created['id']}")
        expect(mine).not_to_contain_text("goes on")


class TestVolumes:
    def test_create_use_and_delete(self, lab: LabPage):
        volumes = section(lab, "Volumes")
        expect(volumes).to_contain_text("No volumes yet")
        action(volumes, "Create Volume").last.click()
        field(lab, "name").locator("input").fill("Not a name!")
        accept(lab, "Create")
        expect(field(lab, "name").get_by_role("alert")).to_contain_text("lower-case")
        field(lab, "name").locator("input").fill("data")
        accept(lab, "Create")
        mine = lab.page.locator('[data-volume="data"]')
        expect(mine).to_be_visible()
        body = {"environment": "python", "name": "User of it", "volumes": ["data"]}
        runtime_id = lab.server.api("POST", RUNTIMES, body)["id"]
        expect(row(lab, runtime_id)).to_contain_text("Running · Idle")
        action(mine, "Delete Volume").click()
        expect(lab.dialog).to_contain_text("Delete data with its 0 B of files?")
        lab.dialog.get_by_role("button", name="Delete the volume").click()
        expect(toast(lab, "data was not deleted")).to_be_visible()
        expect(mine).to_contain_text("Used by User of it")
        lab.server.api("DELETE", f"{RUNTIMES}/{runtime_id}")
        action(mine, "Delete Volume").click()
        lab.dialog.get_by_role("button", name="Delete the volume").click()
        expect(mine).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_figures_can_be_read(lab: LabPage, theme: str):
    lab.server.api("POST", RUNTIMES, {"environment": "box", "name": "Paid for", "lease_s": 60})
    use_theme(lab, theme)
    usage = section(lab, "Usage")
    expect(usage.get_by_role("table", name="Runtimes")).to_be_visible()
    for part in ("dt", "dd", "thead th", "tbody td", "tfoot td", ".jp-RemoteKernels-line"):
        assert contrast(usage.locator(part).first) >= 4.5, part
