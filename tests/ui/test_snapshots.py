"""Snapshots as a person sees them: taken, listed, restored, begun with, moved as files."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from tests.ui.panel import (
    THEMES,
    accept,
    action,
    choose_more,
    contrast,
    field,
    open_panel,
    row,
    section,
    toast,
    use_theme,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.ui.lab_page import LabPage, Notebook
    from tests.ui.lab_server import LabServer

STATE = "x = [1, 2]\ny = {'same': x}\nlines = (i for i in range(3))"


@pytest.fixture(autouse=True)
def no_others(lab_server: LabServer) -> Iterator[None]:
    """Begin and end without snapshots: they outlive kernels, and the tests that took them."""
    delete_all(lab_server)
    yield
    lab_server.shut_down_sessions()
    delete_all(lab_server)


def delete_all(server: LabServer) -> None:
    """Delete the user's snapshots."""
    for snapshot in server.api("GET", "/api/remote-kernels/snapshots")["snapshots"]:
        server.api("DELETE", f"/api/remote-kernels/snapshots/{snapshot['id']}")


def take(lab: LabPage, notebook: Notebook, name: str) -> Locator:
    """Take a snapshot through the menu of the row; returns its own row."""
    snapshots = section(lab, "Snapshots")
    choose_more(lab, row(lab, notebook.kernel_id), "Snapshot…")
    expect(lab.dialog).to_contain_text("saved")
    field(lab, "name").locator("input").fill(name)
    accept(lab, "Save")
    mine = snapshots.get_by_role("listitem").filter(has_text=name)
    expect(mine).to_contain_text("Python (remote)")
    return mine


def test_taken_restored_and_begun_with(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    mine = take(lab, notebook, "Before the fit")
    expect(toast(lab, "is saved")).to_contain_text("One was not carried")
    mine.locator("summary").click()
    expect(mine.locator("li")).to_contain_text("lines (generator")
    # Back into the kernel that goes on: only what was chosen, and only after a decision.
    notebook.run("x.append(3)\ny = None")
    action(mine, "Restore Into").click()
    expect(field(lab, "on_conflict")).to_contain_text("has these, too: x, y.")
    accept(lab, "Restore")
    expect(field(lab, "on_conflict").get_by_role("alert")).to_be_visible()
    field(lab, "variables").get_by_role("checkbox", name="y").uncheck()
    field(lab, "on_conflict").locator("select").select_option("replace")
    expect(field(lab, "on_conflict")).to_contain_text(
        re.compile(r"Replaced in Python \(remote\).*: x\.")
    )
    accept(lab, "Restore")
    expect(toast(lab, "is restored into")).to_be_visible()
    assert notebook.value("x, y") == "([1, 2], None)"
    # And into a runtime that begins with it.
    action(mine, "Start Runtime").click()
    expect(field(lab, "snapshot").locator("select")).to_have_value(re.compile(r"\w+"))
    expect(field(lab, "snapshot")).to_contain_text("2 variables")
    accept(lab, "Launch")
    lab.page.wait_for_function(
        "id => ![id, undefined].includes("
        "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.id)",
        arg=notebook.kernel_id,
    )
    second = lab.current_notebook()
    assert second.value("y['same'] is x, x") == "(True, [1, 2])"


def test_renamed_and_deleted(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    mine = take(lab, notebook, "First")
    action(mine, "Rename Snapshot").click()
    # A dialog that opens gives its first field the focus, and would take it from another one.
    expect(field(lab, "name").locator("input")).to_be_focused()
    field(lab, "name").locator("input").fill("Second")
    field(lab, "description").locator("input").fill("All rows cleaned.")
    accept(lab, "Rename")
    renamed = section(lab, "Snapshots").get_by_role("listitem").filter(has_text="Second")
    expect(renamed).to_contain_text("All rows cleaned.")
    action(renamed, "Rename Snapshot").click()
    expect(field(lab, "name").locator("input")).to_be_focused()
    field(lab, "description").locator("input").fill("")
    accept(lab, "Rename")
    expect(renamed).not_to_contain_text("All rows cleaned.")
    action(renamed, "Delete Snapshot").click()
    expect(lab.dialog).to_contain_text("cannot be brought back")
    accept(lab, "Delete")
    expect(section(lab, "Snapshots")).to_contain_text("No snapshots yet")


def test_down_and_up_again_as_a_file(lab: LabPage, tmp_path: Path):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    mine = take(lab, notebook, "Carried home")
    with lab.page.expect_download() as downloading:
        action(mine, "Download Snapshot").click()
    path = tmp_path / downloading.value.suggested_filename
    assert path.suffix == ".jrksnap"
    downloading.value.save_as(path)
    upload(lab, path)
    expect(toast(lab, "was uploaded")).to_be_visible()
    listed = section(lab, "Snapshots").get_by_role("listitem").filter(has_text="Carried home")
    expect(listed).to_have_count(2)
    broken = tmp_path / "broken.jrksnap"
    broken.write_bytes(path.read_bytes()[:-100])
    upload(lab, broken)
    expect(toast(lab, "broken.jrksnap was not uploaded")).to_contain_text("cut short")
    expect(listed).to_have_count(2)


def test_foreign_file_needs_trust(lab: LabPage, tmp_path: Path):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    mine = take(lab, notebook, "From elsewhere")
    with lab.page.expect_download() as downloading:
        action(mine, "Download Snapshot").click()
    path = tmp_path / "foreign.jrksnap"
    downloading.value.save_as(path)
    sign_elsewhere(path, tmp_path)
    listed = section(lab, "Snapshots").get_by_role("listitem").filter(has_text="From elsewhere")
    upload(lab, path)
    expect(lab.dialog).to_contain_text("Trust This Snapshot?")
    accept(lab, "Cancel")
    expect(listed).to_have_count(1)
    upload(lab, path)
    accept(lab, "Trust")
    expect(toast(lab, "was uploaded")).to_be_visible()
    expect(listed).to_have_count(2)


def sign_elsewhere(path: Path, directory: Path) -> None:
    """Let another server's key sign a file."""

    content = path.read_bytes()

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    async def sign() -> bytes:
        key = SnapshotKey.load(directory / "other.key")
        catalogue = SnapshotCatalogue(FileStore(directory / "other"), key)
        taken = await catalogue.import_(pieces(), trust=True)
        return b"".join([bytes(piece) async for piece in catalogue.export(taken.id)])

    # The browser's own loop runs in this thread.
    with ThreadPoolExecutor() as thread:
        path.write_bytes(thread.submit(asyncio.run, sign()).result())


def upload(lab: LabPage, path: Path) -> None:
    """Choose a file as a person does."""
    panel = open_panel(lab)
    with lab.page.expect_file_chooser() as choosing:
        panel.get_by_role("button", name="Upload Snapshot").click()
    choosing.value.set_files(path)


def test_rows_can_be_read_in_every_theme(lab: LabPage):
    notebook = lab.new_notebook()
    notebook.run(STATE)
    mine = take(lab, notebook, "Readable")
    for theme in THEMES:
        use_theme(lab, theme)
        for part in (".jp-RemoteKernels-title", ".jp-RemoteKernels-line", "summary"):
            assert contrast(mine.locator(part).first) >= 4.5, (theme, part)
