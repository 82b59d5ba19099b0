"""Volumes and example notebooks: made, seen by kernels, kept, removed."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat.v4
import pytest


@pytest.fixture
def environments(tmp_path):
    example = tmp_path / "elsewhere" / "start.ipynb"
    example.parent.mkdir()
    cell = nbformat.v4.new_code_cell("1 + 1")
    example.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[cell])))
    return {
        "python": {},
        "kept": {"volume": {"default": True, "path": "~/kept"}},
        "taught": {"example_notebook": str(example)},
        "below": {"example_notebook": "examples/first.ipynb"},
    }


async def run(browser, code):
    outcome = await browser.execute(code)
    assert outcome.reply["status"] == "ok", outcome.reply
    return outcome.text


async def test_what_is_written_stays(api, launch, open_browser):
    first = await launch(persistent=True)
    browser = await open_browser(first)
    await run(browser, "import pathlib as p; p.Path('~/persistent/a').expanduser().write_text('x')")
    runtime = (await api("GET", f"/runtimes/{first}")).body
    assert runtime["persistent"]
    assert runtime["volumes"] == [{"name": "persistent", "path": "~/persistent"}]
    await api("DELETE", f"/runtimes/{first}")
    assert not (Path.home() / "persistent").is_symlink()
    # Without it the name is absent.
    browser = await open_browser(await launch())
    exists = "import pathlib as p; print(p.Path('~/persistent').expanduser().exists())"
    assert await run(browser, exists) == "False\n"
    browser = await open_browser(await launch(persistent=True))
    read = "import pathlib as p; print(p.Path('~/persistent/a').expanduser().read_text())"
    assert await run(browser, read) == "x\n"


async def test_link_stays_until_the_last_one_ends(api, launch):
    first, second = await launch(persistent=True), await launch(persistent=True)
    link = Path.home() / "persistent"
    assert link.is_symlink()
    await api("DELETE", f"/runtimes/{first}")
    assert link.is_symlink()
    await api("DELETE", f"/runtimes/{second}")
    assert not link.is_symlink()


async def test_what_lies_there_already_is_left_alone(api, events):
    mine = Path.home() / "persistent"
    mine.mkdir()
    (mine / "dear").touch()
    reply = await api("POST", "/runtimes", {"environment": "python", "persistent": True})
    runtime_id = reply.body["id"]
    await events.until(runtime_id=runtime_id, phase="failed")
    cause = (await api("GET", f"/runtimes/{runtime_id}")).body["exit"]
    assert cause["reason"] == "volume_path_taken"
    assert "~/persistent" in cause["message"]
    await api("DELETE", f"/runtimes/{runtime_id}")
    assert (mine / "dear").exists()


async def test_environment_may_give_it_by_itself(api, launch, open_browser):
    browser = await open_browser(await launch("kept"))
    code = "import pathlib as p; print(p.Path('~/kept').expanduser().is_dir())"
    assert await run(browser, code) == "True\n"
    # An ordinary kernel is a runtime with the environment's defaults.
    kernel = (await api.fetch("POST", "/api/kernels", b'{"name": "remote-kept"}')).body
    assert (await api("GET", f"/runtimes/{kernel['id']}")).body["persistent"]
    runtime_id = await launch("kept", persistent=False)
    assert not (await api("GET", f"/runtimes/{runtime_id}")).body["persistent"]


async def test_named_volumes(api, launch, events, open_browser):
    reply = await api("POST", "/volumes", {"name": "data"})
    assert (reply.status, reply.body["size_bytes"]) == (201, 0)
    await events.until(action="volumes")
    reply = await api("POST", "/volumes", {"name": "data"})
    assert (reply.status, reply.reason) == (409, "volume_exists")
    runtime_id = await launch(volumes=["data", "data:again"])
    browser = await open_browser(runtime_id)
    code = (
        "import pathlib as p\nhome = p.Path.home()\n"
        "(home / 'volumes/data/f').write_text('12345')\n"
        "print((home / 'volumes/again/f').read_text())"
    )
    assert await run(browser, code) == "12345\n"
    (volume,) = (await api("GET", "/volumes")).body["volumes"]
    assert (volume["name"], volume["size_bytes"], volume["used_by"]) == ("data", 5, [runtime_id])
    reply = await api("DELETE", "/volumes/data")
    assert (reply.status, reply.reason) == (409, "volume_in_use")
    await api("DELETE", f"/runtimes/{runtime_id}")
    assert (await api("DELETE", "/volumes/data")).status == 204
    assert (await api("GET", "/volumes")).body["volumes"] == []


async def test_wrong_volumes(api):
    for volumes, status in (
        (["nothing"], 404),
        (["a:"], 404),
        (["../up"], 400),
        (["data", "data"], 409),
        ([1], 400),
        ("data", 400),
        ([f"v{number}" for number in range(17)], 400),
    ):
        reply = await api("POST", "/runtimes", {"environment": "python", "volumes": volumes})
        assert reply.status == status, volumes
    for name in ("", "A", "../up", ".hidden", "a/b", "x" * 65):
        assert (await api("POST", "/volumes", {"name": name})).status == 400
    assert (await api("GET", "/runtimes")).body["runtimes"] == []


async def test_example_notebook_is_copied(api, jp_root_dir):
    body = {"environment": "taught", "notebook": True, "path": "work/mine.ipynb"}
    (jp_root_dir / "work").mkdir()
    names = [(await api("POST", "/runtimes", body)).body["notebook"] for _ in range(2)]
    assert names == ["work/start.ipynb", "work/start-1.ipynb"]
    saved = json.loads((jp_root_dir / names[0]).read_text())
    assert saved["metadata"]["kernelspec"]["name"] == "remote-taught"
    assert "".join(saved["cells"][0]["source"]) == "1 + 1"


async def test_example_notebook_below_the_root_and_missing_ones(api, jp_root_dir):
    body = {"environment": "below", "notebook": True}
    reply = await api("POST", "/runtimes", body)
    assert (reply.status, reply.reason) == (404, "example_notebook_unreadable")
    reply = await api("POST", "/runtimes", {**body, "environment": "python"})
    assert (reply.status, reply.reason) == (404, "no_example_notebook")
    assert (await api("GET", "/runtimes")).body["runtimes"] == []
    (jp_root_dir / "examples").mkdir()
    (jp_root_dir / "examples" / "first.ipynb").write_text(
        nbformat.writes(nbformat.v4.new_notebook())
    )
    assert (await api("POST", "/runtimes", body)).body["notebook"] == "first.ipynb"
