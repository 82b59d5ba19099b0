"""Acceptance 6: a runtime in an engine's queue is an ordinary kernel that answers at once."""

from __future__ import annotations

import json
import time

import pytest

from jupyter_remote_kernels.testing.doubles import QueueingProvider, installed
from tests.server.processes import labelled_processes

WORDS = "Waiting for resources (position 3)"


@pytest.fixture
def environments():
    return {"queued": {"provider": "queueing", "options": {"queue_s": 600}}}


@pytest.fixture
def engine(tmp_path):
    return QueueingProvider(folder=tmp_path / "queue")


@pytest.fixture
def providers(engine):
    with installed(engine):
        yield


@pytest.fixture
def queue(tmp_path):
    """Lists the labels of the jobs in the queue."""
    return lambda: sorted(path.stem for path in (tmp_path / "queue").glob("*.json"))


@pytest.fixture
def submit(api, events):
    """Start a kernel by Jupyter's own route; returns when the engine has it in its queue."""

    async def post():
        body = json.dumps({"name": "remote-queued"}).encode()
        reply = await api.fetch("POST", "/api/kernels", body)
        assert reply.status == 201
        runtime_id = reply.body["id"]
        await events.until(action="engine", runtime_id=runtime_id)
        return runtime_id

    return post


async def test_queued_runtime_from_post_to_delete(
    api, events, open_browser, queue, measured, jp_data_dir
):
    start = time.perf_counter()
    body = json.dumps({"name": "remote-queued"}).encode()
    kernel = (await api.fetch("POST", "/api/kernels", body)).body
    measured("POST /api/kernels", time.perf_counter() - start)
    # It came back although the job will wait for ten minutes.
    assert kernel["execution_state"] == "starting"
    runtime = (await api("GET", f"/runtimes/{kernel['id']}")).body
    assert runtime["phase"] == "submitted"

    start = time.perf_counter()
    browser = await open_browser(kernel["id"])
    info = await browser.ask("kernel_info_request")
    measured("websocket open and kernel_info", time.perf_counter() - start)
    assert info["language_info"]["name"] == "python"

    await events.until(action="engine", runtime_id=kernel["id"])
    runtime = (await api("GET", f"/runtimes/{kernel['id']}")).body
    assert runtime["engine"] == {"state": "queued", "message": WORDS}
    assert runtime["execution_state"] == "starting"
    assert queue() == [f"jrk-{kernel['id']}"]
    assert not labelled_processes(jp_data_dir)

    start = time.perf_counter()
    assert (await api.fetch("DELETE", f"/api/kernels/{kernel['id']}")).status == 204
    elapsed = time.perf_counter() - start
    measured("DELETE", elapsed)
    assert elapsed < 2
    assert queue() == []
    assert (await api.fetch("GET", "/api/kernels")).body == []
    assert (await api("GET", "/runtimes")).body["runtimes"] == []


async def test_cell_is_held_with_busy_and_interrupt_aborts_it(api, submit, open_browser, queue):
    runtime_id = await submit()
    browser = await open_browser(runtime_id)
    cell = await browser.begin("print(1)")
    busy = await browser.until(lambda m: m["parent_header"].get("msg_id") == cell)
    assert (busy["msg_type"], busy["content"]) == ("status", {"execution_state": "busy"})
    # Who comes later is told, too.
    second = await open_browser(runtime_id)
    repeated = await second.until(lambda m: m["parent_header"].get("msg_id") == cell)
    assert repeated["content"] == {"execution_state": "busy"}
    assert (await api.fetch("POST", f"/api/kernels/{runtime_id}/interrupt", b"{}")).status == 204
    outcome = await browser.finish(cell)
    assert outcome.reply["status"] == "aborted"
    assert outcome.text == ""
    assert queue() == [f"jrk-{runtime_id}"]


async def test_held_cells_run_when_the_job_does(api, submit, open_browser, engine):
    runtime_id = await submit()
    browser = await open_browser(runtime_id)
    cells = [await browser.begin(f"print({number})") for number in range(3)]
    assert (await browser.ask("kernel_info_request"))["status"] == "ok"
    engine.release(f"jrk-{runtime_id}")
    outcomes = [await browser.finish(cell) for cell in cells]
    assert [outcome.text for outcome in outcomes] == ["0\n", "1\n", "2\n"]
    assert [outcome.reply["execution_count"] for outcome in outcomes] == [1, 2, 3]
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["phase"] == "running"


async def test_launch_can_be_cancelled_as_an_operation(api, events, queue):
    runtime = (await api("POST", "/runtimes", {"environment": "queued"})).body
    await events.until(action="engine", runtime_id=runtime["id"])
    found = (await api("GET", f"/operations/{runtime['operation']}")).body
    assert (found["state"], found["step"]) == ("running", WORDS)
    reply = await api("DELETE", f"/operations/{runtime['operation']}")
    assert (reply.status, reply.body["state"]) == (202, "cancelled")
    assert queue() == []
    assert (await api("GET", "/runtimes")).body["runtimes"] == []
    assert (await api("DELETE", f"/operations/{runtime['operation']}")).reason == "operation_over"


async def test_terminated_launch_ends_its_operation(api, events, queue):
    runtime = (await api("POST", "/runtimes", {"environment": "queued"})).body
    assert (await api("DELETE", f"/runtimes/{runtime['id']}")).status == 200
    await events.until(operation_id=runtime["operation"], operation_state="failed")
    found = (await api("GET", f"/operations/{runtime['operation']}")).body
    assert found["error"]["reason"] == "terminated"
    assert queue() == []


async def test_session_of_a_queued_runtime_can_be_deleted(api, notebook, queue):
    notebook("work.ipynb")
    model = {
        "path": "work.ipynb",
        "name": "work.ipynb",
        "type": "notebook",
        "kernel": {"name": "remote-queued"},
    }
    session = await api.fetch("POST", "/api/sessions", json.dumps(model).encode())
    assert session.body["kernel"]["execution_state"] == "starting"
    assert (await api.fetch("DELETE", f"/api/sessions/{session.body['id']}")).status == 204
    assert queue() == []


@pytest.mark.parametrize(
    "route", ["/api/kernels/{}/restart", "/api/remote-kernels/runtimes/{}/restart"]
)
async def test_restart_keeps_the_place_in_the_queue(api, submit, queue, open_browser, route):
    runtime_id = await submit()
    created = (await api("GET", f"/runtimes/{runtime_id}")).body["created_at"]
    browser = await open_browser(runtime_id)
    cell = await browser.begin("print(1)")
    await browser.until(lambda m: m["msg_type"] == "status")
    reply = await api.fetch("POST", route.format(runtime_id), b"{}")
    assert reply.status in (200, 202)
    assert (await browser.finish(cell)).reply["status"] == "aborted"
    runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
    assert (runtime["phase"], runtime["created_at"]) == ("submitted", created)
    assert queue() == [f"jrk-{runtime_id}"]


async def test_log_is_the_engines_own(api, submit):
    runtime_id = await submit()
    page = (await api("GET", f"/runtimes/{runtime_id}/logs")).body
    assert (page["text"], page["complete"]) == ("", True)


async def test_server_stops_at_once_with_a_full_queue(api, submit, jp_serverapp, queue):
    for _ in range(3):
        await submit()
    start = time.perf_counter()
    await jp_serverapp._cleanup()
    assert time.perf_counter() - start < 5
    assert queue() == []
