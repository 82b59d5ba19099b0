"""The known traps behind jupyter_server's routes: options, queues, websockets, activity.

The others are in ``test_pitfalls.py``; the numbers are those of the list in
``docs/developers/rest.md``.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from jupyter_remote_kernels.testing.doubles import QueueingProvider, installed
from tests.server.test_pitfalls import manager, server_settings

__all__ = ["manager", "server_settings"]

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"


@pytest.fixture
def environments():
    return {"python": {}, "queued": {"provider": "queueing", "options": {"queue_s": 600}}}


@pytest.fixture
def providers(tmp_path):
    with installed(QueueingProvider(folder=tmp_path / "queue")):
        yield


async def test_pitfall_08_kernelspecs_hold_no_secret(api, launch, plane, jp_auth_header):
    runtime_id = await launch()
    served = (await api.fetch("GET", "/api/kernelspecs")).raw.decode()
    driver = plane.find(runtime_id)
    secrets = [driver.record.token, driver.bridge.connection["key"].decode()]
    secrets.append(jp_auth_header["Authorization"].split()[1])
    for secret in secrets:
        assert secret not in served


async def test_pitfall_09_servers_own_environment_stays_here(
    api, notebook, open_browser, plane, monkeypatch
):
    monkeypatch.setenv("SERVERS_OWN", "not for others")
    notebook("work.ipynb")
    model = {
        "path": "work.ipynb",
        "name": "work.ipynb",
        "type": "notebook",
        "kernel": {"name": "remote-python"},
    }
    session = await api.fetch("POST", "/api/sessions", json.dumps(model).encode())
    runtime_id = session.body["kernel"]["id"]
    # A session passes a copy of everything; what may leave the machine is what it added.
    sent = plane.find(runtime_id).record.command.env
    assert set(sent) == {"JPY_SESSION_NAME"}
    browser = await open_browser(runtime_id)
    outcome = await browser.execute("import os; print(os.environ['JPY_SESSION_NAME'])")
    assert outcome.text.endswith("work.ipynb\n")


async def test_pitfall_10_jupyters_routes_take_no_options_and_ours_do(api, launch, jp_serverapp):
    told = asyncio.Queue()

    async def listen(logger, schema_id, data):
        told.put_nowait((data["action"], data.get("status")))

    jp_serverapp.event_logger.add_listener(schema_id=ACTIONS, listener=listen)
    body = json.dumps({"name": "remote-python", "tag": "ignored", "env": {"A": "b"}}).encode()
    kernel_id = (await api.fetch("POST", "/api/kernels", body)).body["id"]
    assert (await api("GET", f"/runtimes/{kernel_id}")).body["tag"] is None
    for action in ("interrupt", "restart"):
        await api.fetch("POST", f"/api/kernels/{kernel_id}/{action}", b"{}")
    await api.fetch("DELETE", f"/api/kernels/{kernel_id}")
    seen = [await told.get() for _ in range(4)]
    assert seen == [(a, "success") for a in ("start", "interrupt", "restart", "shutdown")]
    tagged = await launch(tag="taken")
    assert (await api("GET", f"/runtimes/{tagged}")).body["tag"] == "taken"


@pytest.mark.parametrize("pending", [False, True])
class TestPitfall11:
    @pytest.fixture
    def server_settings(self, pending):
        return {"MultiKernelManager": {"use_pending_kernels": pending}}

    async def test_pitfall_11_queued_kernel_can_be_interrupted_and_deleted(
        self, api, events, manager, tmp_path
    ):
        body = json.dumps({"name": "remote-queued"}).encode()
        kernel = (await api.fetch("POST", "/api/kernels", body)).body
        await events.until(action="engine")
        await manager(kernel["id"]).ready  # before, Jupyter itself refuses an interrupt
        assert (await api("GET", f"/runtimes/{kernel['id']}")).body["phase"] == "submitted"
        route = f"/api/kernels/{kernel['id']}"
        assert (await api.fetch("POST", f"{route}/interrupt", b"{}")).status == 204
        assert (await api.fetch("DELETE", route)).status == 204
        # With pending kernels the answer comes first.
        await events.until(action="phase", phase="stopped")
        assert list((tmp_path / "queue").glob("*.json")) == []


async def test_pitfall_12_runtimes_are_listed(api, launch):
    runtime_id = await launch()
    listed = (await api.fetch("GET", "/api/kernels")).body
    assert [(item["id"], item["name"]) for item in listed] == [(runtime_id, "remote-python")]


@pytest.mark.parametrize("environment", ["python", "queued"])
async def test_pitfall_15_opening_a_websocket_asks_the_kernel_nothing(
    api, open_browser, environment
):
    body = json.dumps({"name": f"remote-{environment}"}).encode()
    runtime_id = (await api.fetch("POST", "/api/kernels", body)).body["id"]
    watcher = await open_browser(runtime_id)
    assert (await watcher.ask("kernel_info_request"))["status"] == "ok"
    # Over ZMQ, where the stock connection sends a question every half second.
    other = await open_browser(runtime_id, protocol=None)
    assert (await watcher.ask("kernel_info_request"))["status"] == "ok"
    assert (await other.ask("kernel_info_request"))["status"] == "ok"
    await other.until(
        lambda m: (
            m["content"].get("execution_state") == "idle"
            and m["parent_header"]["session"] == other.session_id
        )
    )
    await watcher.until(
        lambda m: (
            m["content"].get("execution_state") == "idle"
            and m["parent_header"]["session"] == other.session_id
        )
    )
    askers = {m["parent_header"]["session"] for m in watcher._unread if m["parent_header"]}
    assert askers <= {watcher.session_id, other.session_id}


@pytest.mark.parametrize("protocol", ["v1.kernel.websocket.jupyter.org", None])
async def test_pitfall_16_websocket_of_a_queued_kernel_opens(api, open_browser, protocol):
    body = json.dumps({"name": "remote-queued"}).encode()
    runtime_id = (await api.fetch("POST", "/api/kernels", body)).body["id"]
    browser = await open_browser(runtime_id, protocol=protocol)
    assert (await browser.ask("kernel_info_request"))["status"] == "ok"
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["phase"] == "submitted"


async def test_pitfall_17_activity_is_seen_after_a_restart(api, launch, open_browser):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    restarted = await api.fetch("POST", f"/api/kernels/{runtime_id}/restart", b"{}")
    assert restarted.body["execution_state"] in ("idle", "starting")
    await browser.execute("pass")
    before = (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body
    assert before["execution_state"] == "idle"
    cell = await browser.begin("print('on', flush=True)\nwhile True: pass")
    await browser.until(lambda m: m["msg_type"] == "stream" and m["content"]["text"] == "on\n")
    during = (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body
    assert during["execution_state"] == "busy"
    assert during["last_activity"] > before["last_activity"]
    await api("POST", f"/runtimes/{runtime_id}/interrupt")
    await browser.finish(cell)
    assert (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body["execution_state"] == "idle"
