"""A runtime moved into another environment: same id, same state, same page."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.server.test_pause import follow, pause, phase

__all__ = ["follow", "pause", "phase"]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def environments(tmp_path):
    common = {"provider": "local"}
    return {
        "python": {"display_name": "Python (remote)", **common},
        "other": {"display_name": "Other", "env": {"WHERE": "there"}, "max_lease_s": 900, **common},
        "broken": {"display_name": "Broken", "options": {"python": str(tmp_path / "no")}, **common},
    }


@pytest.fixture
def move(api):
    async def moved(runtime_id, environment, **fields):
        body = {"environment": environment, **fields}
        reply = await api("POST", f"/runtimes/{runtime_id}/move", body)
        assert reply.status == 202, reply
        return reply

    return moved


async def test_same_kernel_in_another_environment(
    api, launch, open_browser, move, follow, jp_fetch, events
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("import os\nx = [1, 2]\ny = x\nwalk = (i for i in x)")
    operation = await follow(await move(runtime_id, "other", lease_s=600))
    assert operation["error"] is None, operation["error"]
    result = operation["result"]
    assert result["environment"] == "other"
    assert [item["name"] for item in result["not_carried"]] == ["walk"]
    assert {"x", "y"} <= set(result["restored"])
    phases = [event["phase"] for event in events.seen if event["action"] == "phase"]
    assert phases[-4:] == ["pausing", "paused", "resuming", "running"]

    outcome = await browser.execute("print(x is y, x, os.environ['WHERE'])")
    assert outcome.text == "True [1, 2] there\n"
    assert outcome.reply["execution_count"] == 2
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert (runtime["environment"], runtime["lease_s"]) == ("other", 600)
    kernel = json.loads((await jp_fetch("api", "kernels", runtime_id)).body)
    assert kernel["name"] == runtime["kernel_name"] == "remote-other"
    # A restart begins with the new environment too.
    await follow(await api("POST", f"/runtimes/{runtime_id}/restart", {}))
    assert (await browser.execute("import os; print(os.environ['WHERE'])")).text == "there\n"


async def test_what_does_not_arrive_stays_paused_in_its_old_environment(
    api, launch, open_browser, move, follow, phase
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("x = [1, 2]")
    operation = await follow(await move(runtime_id, "broken"))
    assert operation["state"] == "failed"
    assert operation["error"]["reason"] != "called_off"
    assert await phase(runtime_id) == "paused"
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert (runtime["environment"], runtime["kernel_name"]) == ("python", "remote-python")
    # A cell wakes it where it was.
    assert (await browser.execute("print(x)")).text == "[1, 2]\n"
    # From a snapshot it goes as well.
    await follow(await api("POST", f"/runtimes/{runtime_id}/pause", {}))
    operation = await follow(await move(runtime_id, "other"))
    assert operation["error"] is None, operation["error"]
    assert (await browser.execute("import os; print(x, os.environ['WHERE'])")).text == (
        "[1, 2] there\n"
    )


async def test_refused_before_anything_is_done(api, launch, move, follow, phase):
    runtime_id = await launch()
    path = f"/runtimes/{runtime_id}/move"
    assert (await api("POST", path, {"environment": "nowhere"})).reason == "unknown_environment"
    assert (await api("POST", path, {})).reason == "missing_key"
    assert (await api("POST", "/runtimes/no/move", {"environment": "other"})).status == 404
    operation = await follow(await move(runtime_id, "other", lease_s=10_000))
    assert (operation["state"], operation["error"]["status"]) == ("failed", 406)
    assert await phase(runtime_id) == "running"


async def test_cancelled_while_the_state_is_saved_and_a_cell_waits(
    api, launch, open_browser, move, events, phase
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute(
        "import time\nclass Slow:\n    def __reduce__(self):\n        time.sleep(30)\nx = Slow()"
    )
    operation = (await move(runtime_id, "other")).body["id"]
    await events.until(action="phase", phase="pausing")
    waiting = asyncio.ensure_future(browser.execute("print(1)"))
    reply = await api("DELETE", f"/operations/{operation}")
    assert reply.body["state"] == "cancelled"
    assert (await waiting).text == "1\n"
    assert await phase(runtime_id) == "running"
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["environment"] == "python"
