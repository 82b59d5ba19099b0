"""Time reservations: kept by the agent, told as events, extended, shortened, over."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import pytest

from tests.server.processes import labelled_processes


@pytest.fixture
def environments():
    return {
        "python": {},
        "hourly": {"default_lease_s": 3600, "max_lease_s": 7200},
    }


@pytest.fixture
def server_settings():
    return {"RemoteKernels": {"lease_warnings_s": [2.0, 1.0]}}


def seconds_until(moment):
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() - time.time()


async def test_without_one_there_is_no_end(api, launch):
    runtime = (await api("GET", f"/runtimes/{await launch()}")).body
    assert (runtime["lease_s"], runtime["expires_at"]) == (None, None)


async def test_environment_gives_one_by_itself(api, launch, events):
    runtime_id = await launch("hourly")
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert runtime["lease_s"] == 3600
    assert seconds_until(runtime["expires_at"]) == pytest.approx(3600, abs=10)


async def test_ordinary_kernel_gets_it_too(api, events):
    reply = await api.fetch("POST", "/api/kernels", b'{"name": "remote-hourly"}')
    await events.until(action="lease", runtime_id=reply.body["id"])
    runtime = (await api("GET", f"/runtimes/{reply.body['id']}")).body
    assert runtime["lease_s"] == 3600


async def test_warnings_and_the_end(api, launch, events, open_browser, jp_data_dir):
    started_s = time.monotonic()
    runtime_id = await launch(lease_s=3)
    browser = await open_browser(runtime_id)
    await browser.begin("import time\nwhile True: time.sleep(0.01)")
    for warning_s in (2.0, 1.0):
        event = await events.until(action="lease", runtime_id=runtime_id, warning_s=warning_s)
        assert event["remaining_s"] == pytest.approx(warning_s, abs=0.9)
        assert seconds_until(event["expires_at"]) == pytest.approx(warning_s, abs=0.9)
    await events.until(runtime_id=runtime_id, phase="failed")
    assert 2.5 < time.monotonic() - started_s < 15
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert runtime["exit"]["reason"] == "lease_over"
    assert "3 seconds" in runtime["exit"]["message"]
    # A cell that is run now says so at once instead of waiting for ever.
    outcome = await browser.execute("1 + 1")
    assert outcome.reply["ename"] == "RuntimeUnavailable"
    assert "reservation" in outcome.reply["evalue"]
    assert (await api("DELETE", f"/runtimes/{runtime_id}")).status == 200
    assert not labelled_processes(jp_data_dir)


async def test_end_is_not_repeated_by_the_restarter_but_by_its_user(
    api, launch, events, jp_serverapp, open_browser
):
    runtime_id = await launch(lease_s=1)
    await events.until(runtime_id=runtime_id, phase="failed")
    restarter = jp_serverapp.kernel_manager.get_kernel(runtime_id)._restarter
    for _ in range(3):
        await restarter.poll()
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["phase"] == "failed"
    assert (await api("POST", f"/runtimes/{runtime_id}/restart")).status == 202
    await events.until(action="phase", runtime_id=runtime_id, phase="running")
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert (runtime["lease_s"], runtime["exit"]) == (1, None)
    browser = await open_browser(runtime_id)
    assert (await browser.execute("print(6 * 7)")).text == "42\n"


async def test_extend_and_shorten(api, launch, events):
    runtime_id = await launch(lease_s=3)
    path = f"/runtimes/{runtime_id}"
    await events.until(action="lease", runtime_id=runtime_id, warning_s=1.0)
    reply = await api("PATCH", path, {"lease_s": 600})
    assert (reply.status, reply.body["lease_s"]) == (200, 600)
    assert seconds_until(reply.body["expires_at"]) == pytest.approx(598, abs=5)
    # No end where the environment allows that.
    assert (await api("PATCH", path, {"lease_s": None})).body["expires_at"] is None
    reply = await api("PATCH", path, {"lease_s": 1, "name": "never"})
    assert (reply.status, reply.reason) == (409, "lease_over")
    assert (await api("GET", path)).body["name"] != "never"
    await api("PATCH", path, {"lease_s": 5})
    event = await events.until(action="lease", runtime_id=runtime_id, warning_s=2.0)
    assert event["lease_s"] == 5


async def test_longer_than_allowed(api, launch):
    reply = await api("POST", "/runtimes", {"environment": "hourly", "lease_s": 7201})
    assert (reply.status, reply.reason) == (406, "limit_exceeded")
    limit = reply.body["limit"]
    assert (limit["name"], limit["scope"], limit["asked"], limit["allowed"]) == (
        *("lease", "environment"),
        *(7201, 7200),
    )
    assert (await api("GET", "/runtimes")).body["runtimes"] == []
    runtime_id = await launch("hourly", lease_s=10)
    for lease_s in (7201, 10**9):
        reply = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_s": lease_s})
        assert reply.status in (400, 406)
    # Without an end is more than any; the environment's default is what is left.
    reply = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_s": None})
    assert reply.body["lease_s"] == 3600
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["lease_s"] == 3600


@pytest.mark.parametrize("lease_s", [0, -1, True, "60", float("1e400"), [], 10**12])
async def test_what_is_no_reservation(api, lease_s):
    reply = await api("POST", "/runtimes", {"environment": "python", "lease_s": lease_s})
    assert (reply.status, reply.reason) == (400, "invalid_input")


async def test_unreachable_agent_changes_nothing(api, launch, plane, monkeypatch):
    runtime_id = await launch(lease_s=60)
    driver = plane.find(runtime_id)
    before = driver.record
    with monkeypatch.context() as nobody_listens:
        nobody_listens.setattr(driver.link.client, "_url", lambda: "http://127.0.0.1:9")
        reply = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_s": 120})
    assert (reply.status, reply.reason) == (503, "link_unavailable")
    assert (driver.record.lease_s, driver.record.expires_s) == (60, before.expires_s)


async def test_two_at_once(api, launch):
    """One after the other or not, each change is answered and the last one holds."""
    runtime_id = await launch(lease_s=60)
    path = f"/runtimes/{runtime_id}"
    replies = await asyncio.gather(
        *(api("PATCH", path, {"lease_s": lease_s}) for lease_s in (100, 200, 300))
    )
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert (await api("GET", path)).body["lease_s"] in (100, 200, 300)
