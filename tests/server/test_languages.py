"""State across versions of Python and between R and Python, through the whole server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.contract import state_versions
from tests.contract.pythons import find_pythons
from tests.engines.tools import give_up
from tests.server.test_move import move
from tests.server.test_pause import follow

__all__ = ["follow", "move"]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def environments(jp_environ, monkeypatch):
    """One environment for each version of Python."""
    # The tests' own leads to the libraries of the Python that runs them.
    monkeypatch.delenv("PYTHONPATH")
    return {
        f"python{version.replace('.', '')}": {
            "display_name": f"Python {version}",
            "provider": "local",
            "options": {"python": python},
        }
        for version, python in find_pythons().items()
    }


async def say(browser, code):
    """Run a cell and return what it has printed."""
    outcome = await browser.execute(code)
    assert outcome.reply["status"] == "ok", outcome.reply
    return outcome.text


async def test_a_runtime_moves_from_version_to_version(launch, open_browser, move, follow):
    runtime_id = await launch(environment="python311")
    browser = await open_browser(runtime_id)
    await say(browser, state_versions.FRAMES)
    for kind in (state_versions.FUNCTIONS, state_versions.CLASSES):
        await say(browser, kind)
    await say(browser, "exec('def made(n): return n')\nup()")
    for version, number in (("39", 9), ("313", 13), ("311", 11)):
        operation = await follow(await move(runtime_id, f"python{version}"))
        assert operation["error"] is None, operation["error"]
        # What has no text is lost on the first way, with its reason, and nothing else ever.
        lost = {entry["name"]: entry["reason"] for entry in operation["result"]["lost"]}
        assert list(lost) == (["made"] if version == "39" else [])
        assert await say(browser, "import sys; print(sys.version_info[1])") == f"{number}\n"
        await say(browser, state_versions.CLASSES_HOLD)
        await say(browser, "assert plain(2) == 12 and square(3) == 9 and comp(1)[0] == [[0]]")
        await say(browser, "assert view.base is ints or view.base is ints.base; view[0] += 1")
        assert await say(browser, "print(ints[0] == view[0], len(frames))") == "True 11\n"
    assert await say(browser, "print(read())") == "11\n"


@pytest.fixture
def r_kernelspec(jp_data_dir):
    """Put the system's kernelspec of R where this server looks for some."""
    places = [Path(base, "share/jupyter/kernels/ir") for base in ("/usr", "/usr/local")]
    found = [place for place in places if place.exists()]
    if not found:
        give_up("missing: apt-get install r-cran-irkernel")
    shutil.copytree(found[0], jp_data_dir / "kernels" / "ir")


@pytest.mark.usefixtures("r_kernelspec")
async def test_variables_between_r_and_a_runtime(api, jp_fetch, launch, open_browser, follow):
    reply = await jp_fetch("api", "kernels", method="POST", body=json.dumps({"name": "ir"}))
    r_id = json.loads(reply.body)["id"]
    in_r, runtime_id = await open_browser(r_id), await launch(environment="python311")
    in_python = await open_browser(runtime_id)
    await say(in_r, "frame <- data.frame(n = c(1L, NA), s = c('a', NA)); f <- function(x) x")
    variables = (await api("GET", f"/kernels/{r_id}/variables")).body["variables"]
    assert {item["name"]: item["type"] for item in variables} == {
        "f": "function",
        "frame": "data.frame",
    }

    async def transfer(source, target, **fields):
        body = {"source": source, "target": target, **fields}
        operation = await follow(await api("POST", "/transfers", body))
        assert operation["error"] is None, operation["error"]
        return operation["result"]

    result = await transfer(r_id, runtime_id)
    assert [item["name"] for item in result["transferred"]] == ["frame"]
    assert [(item["name"], item["reason"]) for item in result["not_carried"]] == [
        ("f", "a function has no counterpart in the target's language")
    ]
    said = await say(in_python, "print(frame['n'].sum(), frame['s'].isna().tolist())")
    assert said == "1 [False, True]\n"
    await say(in_python, "frame['twice'] = frame['n'] * 2")
    result = await transfer(runtime_id, r_id, on_conflict="rename", variables=["frame"])
    assert result["renamed"] == {"frame": "frame_1"}
    assert await say(in_r, "cat(ncol(frame), frame_1$twice)") == "2 2 NA"
