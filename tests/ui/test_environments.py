"""The environments in the panel: added, corrected, edited, duplicated, deleted; wrong files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.ui.panel import (
    THEMES,
    accept,
    action,
    contrast,
    environment_row,
    field,
    open_panel,
    use_theme,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage
    from tests.ui.lab_server import LabServer

PATH = "/api/remote-kernels/environments"


@pytest.fixture(autouse=True)
def no_traces(lab_server: LabServer) -> Iterator[None]:
    """Remove the user's environments."""
    yield
    for environment in lab_server.api("GET", PATH)["environments"]:
        if environment["kind"] == "user":
            lab_server.api("DELETE", f"{PATH}/{environment['name']}")


def control(lab: LabPage, name: str) -> Locator:
    """Return the input of a field."""
    return field(lab, name).locator("input, textarea, select").first


def unfold(lab: LabPage, group: str) -> None:
    """Show the fields of a group."""
    lab.dialog.locator("summary", has_text=group).click()


class TestEditor:
    def test_add_correct_edit_and_delete(self, lab: LabPage):
        panel = open_panel(lab)
        panel.get_by_role("button", name="Add Environment…").click()
        # Nothing is sent while something cannot be read; the focus goes there.
        accept(lab, "Save")
        expect(field(lab, "name")).to_contain_text("Write a name.")
        expect(control(lab, "name")).to_be_focused()
        control(lab, "name").fill("mine")
        control(lab, "display_name").fill("My own")
        control(lab, "description").fill("For tests")
        unfold(lab, "Resources")
        control(lab, "resources.memory").fill("much")
        accept(lab, "Save")
        expect(field(lab, "resources.memory")).to_contain_text("Write a size")
        control(lab, "resources.memory").fill("512 MiB")
        # What only the server knows to be wrong is told beside its field as well.
        control(lab, "provider").fill("nowhere")
        accept(lab, "Save")
        expect(field(lab, "provider").get_by_role("alert")).to_have_text(
            re.compile(r"^There is no provider 'nowhere'")
        )
        expect(control(lab, "provider")).to_be_focused()
        expect(control(lab, "provider")).to_have_attribute("aria-invalid", "true")
        control(lab, "provider").fill("local")
        accept(lab, "Save")
        expect(lab.dialog).to_have_count(0)
        mine = environment_row(lab, "mine")
        expect(mine).to_contain_text("My own")
        expect(mine).to_contain_text("For tests")
        expect(mine).to_contain_text("512 MiB memory")
        expect(mine).to_contain_text("yours")

        action(mine, "Edit").click()
        expect(control(lab, "display_name")).to_have_value("My own")
        unfold(lab, "Time and credits")
        field(lab, "default_lease_s").locator("input").fill("90")
        field(lab, "default_lease_s").locator("select").select_option("minutes")
        accept(lab, "Save")
        expect(mine).to_contain_text("1 h 30 min")
        assert lab.server.api("GET", f"{PATH}/mine")["default_lease_s"] == 5400

        action(mine, "Delete").click()
        expect(lab.dialog).to_contain_text("Delete My own?")
        lab.dialog.get_by_role("button", name="Delete the environment").click()
        expect(mine).to_have_count(0)

    def test_a_platform_environment_is_duplicated_and_not_edited(self, lab: LabPage):
        open_panel(lab)
        box = environment_row(lab, "box")
        expect(action(box, "Duplicate")).to_be_visible()
        expect(action(box, "Edit")).to_have_count(0)
        expect(action(box, "Delete")).to_have_count(0)
        action(box, "Duplicate").click()
        expect(control(lab, "name")).to_have_value("box-copy")
        accept(lab, "Save")
        expect(environment_row(lab, "box-copy")).to_contain_text("Box (remote) (copy)")
        copy = lab.server.api("GET", f"{PATH}/box-copy")
        original = lab.server.api("GET", f"{PATH}/box")
        differs = {key for key in copy if copy[key] != original[key]}
        assert differs == {"name", "kernel_name", "display_name", "kind"}

    def test_deleting_says_what_happens_to_living_runtimes(self, lab: LabPage):
        lab.server.api("PUT", f"{PATH}/passing", {"display_name": "Passing", "provider": "local"})
        lab.server.api(
            "POST",
            "/api/remote-kernels/runtimes",
            {"environment": "passing", "name": "Still going"},
        )
        open_panel(lab)
        action(environment_row(lab, "passing"), "Delete").click()
        expect(lab.dialog).to_contain_text("goes on until it ends or is terminated")
        expect(lab.dialog).to_contain_text("Still going")
        lab.dialog.get_by_role("button", name="Delete the environment").click()
        expect(environment_row(lab, "passing")).to_have_count(0)
        expect(lab.page.locator(".jp-RemoteKernels-runtime")).to_contain_text("Still going")

    def test_an_environment_from_elsewhere_appears_by_itself(self, lab: LabPage):
        open_panel(lab)
        lab.server.api("PUT", f"{PATH}/late", {"display_name": "Late", "provider": "local"})
        expect(environment_row(lab, "late")).to_be_visible()
        lab.server.api("DELETE", f"{PATH}/late")
        expect(environment_row(lab, "late")).to_have_count(0)


def test_a_wrong_file_is_told_with_its_key(lab: LabPage):
    folder = lab.server.data_dir.parent / "config" / "remote_kernels" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "broken.toml"
    file.write_text('display_name = "Broken"\n[resources]\ncpu = "many"\n')
    try:
        panel = open_panel(lab)
        lab.execute("remote-kernels:refresh")
        problems = panel.get_by_role("list", name="Files that are wrong")
        expect(problems).to_contain_text("broken.toml")
        expect(problems).to_contain_text("resources.cpu:")
    finally:
        file.unlink()
    lab.execute("remote-kernels:refresh")
    expect(problems).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_the_editor_can_be_read(lab: LabPage, theme: str):
    use_theme(lab, theme)
    panel = open_panel(lab)
    panel.get_by_role("button", name="Add Environment…").click()
    accept(lab, "Save")
    name = field(lab, "name")
    expect(name.get_by_role("alert")).to_be_visible()
    for part in ("label", ".jp-RemoteKernels-hint", ".jp-RemoteKernels-fieldError"):
        assert contrast(name.locator(part)) >= 4.5, part
    assert contrast(control(lab, "provider")) >= 4.5
    assert contrast(lab.dialog.locator("summary").first) >= 4.5
    lab.page.keyboard.press("Escape")
    expect(lab.dialog).to_have_count(0)
    for part in ("title", "excerpt", "line", "textButton"):
        inside = environment_row(lab, "box").locator(f".jp-RemoteKernels-{part}")
        assert contrast(inside.first) >= 4.5, part
