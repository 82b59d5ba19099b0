"""The end of a reservation pauses a runtime with its server there; and kernels that are kept."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.server.processes import labelled_processes
from tests.server.test_pause import follow, phase, until_gone

__all__ = ["follow", "phase"]

pytestmark = pytest.mark.timeout(120)


async def test_paused_before_the_end_and_resumed_by_a_cell(
    api, launch, open_browser, events, jp_data_dir, phase
):
    runtime_id = await launch(lease_s=6, lease_policy="pause")
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert runtime["lease_policy"] == "pause"
    browser = await open_browser(runtime_id)
    await browser.execute("x = 42")
    await events.until(action="phase", phase="paused")
    assert datetime.now().astimezone() < datetime.fromisoformat(runtime["expires_at"])
    await until_gone(jp_data_dir)
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert (runtime["phase"], runtime["exit"], runtime["expires_at"]) == ("paused", None, None)
    # A new machine has a new reservation, as long as the first.
    assert (await browser.execute("print(x)")).text == "42\n"
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["lease_s"] == 6
    # A cell that runs on is interrupted in time.
    cell = await browser.begin("import time\nwhile True:\n    x += 1; time.sleep(0.01)")
    await events.until(action="phase", phase="paused")
    assert (await browser.finish(cell)).reply["ename"] == "KeyboardInterrupt"
    await until_gone(jp_data_dir)
    assert (await browser.execute("print(x > 50)")).text == "True\n"


async def test_the_policy_can_be_changed_either_way(
    api, launch, open_browser, events, jp_data_dir, phase
):
    runtime_id = await launch(lease_s=600)
    browser = await open_browser(runtime_id)
    await browser.execute("x = 42")
    for policy in ("pause", "terminate", "pause"):
        reply = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_policy": policy})
        assert reply.body["lease_policy"] == policy
    assert (await api("PATCH", f"/runtimes/{runtime_id}", {"lease_policy": "x"})).status == 400
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    left_s = (datetime.fromisoformat(runtime["expires_at"]) - datetime.now().astimezone()).seconds
    shorter = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_s": 600 - left_s + 4})
    assert shorter.status == 200, shorter
    await events.until(action="phase", phase="paused")
    await until_gone(jp_data_dir)
    # What is paused has no agent that would have to know.
    reply = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_policy": "terminate"})
    assert reply.body["lease_policy"] == "terminate"
    assert (await browser.execute("print(x)")).text == "42\n"


async def test_a_kernel_that_is_kept_survives_one_switch(api, launch, open_browser, jp_data_dir):
    runtime_id = await launch()
    ordinary = (await api.fetch("POST", "/api/kernels", b'{"name": "python3"}')).body["id"]
    kept = await api("PATCH", f"/runtimes/{runtime_id}", {"keep": True})
    assert kept.body["keep"] is True
    assert (await api("PATCH", f"/runtimes/{ordinary}", {"keep": True})).body == {
        "id": ordinary,
        "keep": True,
    }
    assert (await api("PATCH", f"/runtimes/{ordinary}", {"name": "x"})).reason == "unknown_runtime"

    async def living():
        return {item["id"] for item in (await api.fetch("GET", "/api/kernels")).body}

    async def use(session_id, kernel_id):
        body = b'{"kernel": {"id": "%s"}}' % kernel_id.encode()
        reply = await api.fetch("PATCH", f"/api/sessions/{session_id}", body)
        assert reply.status == 200, reply

    third = (await api.fetch("POST", "/api/kernels", b'{"name": "python3"}')).body["id"]
    body = b'{"path": "a.ipynb", "type": "notebook", "name": "", "kernel": {"id": "%s"}}'
    session = await api.fetch("POST", "/api/sessions", body % runtime_id.encode())
    session_id = session.body["id"]
    await use(session_id, ordinary)
    assert await living() == {runtime_id, ordinary, third}
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["keep"] is False
    await use(session_id, third)
    assert await living() == {runtime_id, ordinary, third}
    # Once only: the next one is as always.
    await use(session_id, ordinary)
    assert await living() == {runtime_id, ordinary}
    await use(session_id, runtime_id)
    assert await living() == {runtime_id}
    # And who ends a kernel by hand ends it, kept or not.
    await api("PATCH", f"/runtimes/{runtime_id}", {"keep": True})
    assert (await api("DELETE", f"/runtimes/{runtime_id}")).status == 200
    assert await living() == set()
    assert not labelled_processes(jp_data_dir)


class TestBudget:
    @pytest.fixture
    def environments(self):
        return {"paid": {"provider": "local", "credits_per_hour": 3600, "default_lease_s": 60}}

    @pytest.fixture
    def server_settings(self):
        return {"RemoteKernels": {"credits_budget": 110.0, "credits_period": "total"}}

    async def test_a_resume_over_the_budget_is_refused_and_nothing_is_lost(
        self, api, launch, follow, open_browser, jp_data_dir, phase
    ):
        runtime_id = await launch("paid", lease_s=60)
        browser = await open_browser(runtime_id)
        await browser.execute("x = 42")
        assert (await follow(await api("POST", f"/runtimes/{runtime_id}/pause")))["error"] is None
        other_id = await launch("paid", lease_s=60)
        operation = await follow(await api("POST", f"/runtimes/{runtime_id}/resume"))
        assert operation["error"]["limit"]["name"] == "credits"
        assert await phase(runtime_id) == "paused"
        outcome = await browser.execute("print(x)")
        assert outcome.reply["status"] == "error"
        assert "credits" in outcome.reply["evalue"]
        assert await phase(runtime_id) == "paused"
        # With room in the budget the same cell brings everything back.
        await api("DELETE", f"/runtimes/{other_id}")
        assert (await browser.execute("print(x)")).text == "42\n"
