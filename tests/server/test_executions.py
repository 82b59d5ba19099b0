"""The outputs that the server keeps for the cells of notebooks."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import quote

import pytest

from jupyter_remote_kernels.link.link import ConnectionState


@pytest.fixture
def environments():
    """One that works, one that cannot start."""
    return {
        "python": {"display_name": "Python (remote)"},
        "broken": {"display_name": "Broken", "options": {"python": "/nonexistent/python"}},
    }


@pytest.fixture
def gate(tmp_path):
    """A cell that reads it waits until the test writes to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.fixture
def list_kept(api):
    """Return a runtime's executions."""

    async def ask(runtime_id):
        reply = await api("GET", f"/runtimes/{runtime_id}/executions")
        assert reply.status == 200, reply
        return reply.body["executions"]

    return ask


@pytest.fixture
def read_all(api):
    """Return an execution's last page and all its messages."""

    async def ask(runtime_id, msg_id):
        messages, offset, page = [], 0, {"complete": False}
        while not page["complete"]:
            path = f"/runtimes/{runtime_id}/executions/{quote(msg_id, safe='')}"
            reply = await api("GET", path, query=f"?offset={offset}")
            assert reply.status == 200, reply
            page = reply.body
            messages += page["messages"]
            offset = page["next_offset"]
        return page, messages

    return ask


def text_of(messages):
    return "".join(m["content"]["text"] for m in messages if m["header"]["msg_type"] == "stream")


async def test_finished_cell(api, launch, open_browser, list_kept, read_all):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    cell = await browser.begin("print('hello')\n40 + 2", "cell-1")
    await browser.finish(cell)
    (kept,) = await list_kept(runtime_id)
    assert kept["msg_id"] == cell
    assert kept["cell_id"] == "cell-1"
    assert kept["state"] == "finished"
    assert kept["finished_at"] >= kept["started_at"]
    assert kept["execution_count"] == 1
    assert (kept["dropped_messages"], kept["pending_input"]) == (0, False)
    page, messages = await read_all(runtime_id, cell)
    assert page["state"] == "finished"
    assert len(messages) == kept["messages"]
    kinds = [message["header"]["msg_type"] for message in messages]
    shown = ["status", "execute_input", "stream", "execute_result", "execute_reply", "status"]
    assert sorted(kinds) == sorted(shown)
    assert all(message["parent_header"]["msg_id"] == cell for message in messages)
    (reply,) = [message for message in messages if message["channel"] == "shell"]
    assert reply["content"]["execution_count"] == 1
    assert (await api("DELETE", f"/runtimes/{runtime_id}/executions/{cell}")).status == 204
    assert await list_kept(runtime_id) == []
    for method in ("GET", "DELETE"):
        gone = await api(method, f"/runtimes/{runtime_id}/executions/{cell}")
        assert (gone.status, gone.reason) == (404, "unknown_execution")


async def test_running_cell(api, launch, open_browser, list_kept, read_all, gate):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    cell = await browser.begin(f"print('begun')\nopen({str(gate)!r}).read()\nprint('end')", "c")
    await browser.until(lambda m: m["msg_type"] == "stream")
    (kept,) = await list_kept(runtime_id)
    assert (kept["state"], kept["finished_at"]) == ("running", None)
    refused = await api("DELETE", f"/runtimes/{runtime_id}/executions/{cell}")
    assert (refused.status, refused.reason) == (409, "execution_running")
    page, messages = await read_all(runtime_id, cell)
    assert text_of(messages) == "begun\n"
    await browser.close()
    other = await open_browser(runtime_id)
    await asyncio.to_thread(gate.write_text, "")
    await other.execute("0")  # the kernel has done with the first one then
    (kept,) = await list_kept(runtime_id)
    assert kept["state"] == "finished"
    reply = await api(
        "GET", f"/runtimes/{runtime_id}/executions/{cell}", query=f"?offset={page['next_offset']}"
    )
    assert text_of(reply.body["messages"]) == "end\n"


async def test_large_output_comes_in_pages(launch, open_browser, read_all):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    cell = await browser.begin(
        "for i in range(12): print(str(i % 10) * 1_000_000, flush=True)", "c"
    )
    outcome = await browser.finish(cell)
    _, messages = await read_all(runtime_id, cell)
    assert text_of(messages) == outcome.text


async def test_question_and_its_answer(launch, open_browser, list_kept, read_all):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    cell = await browser.begin("print(input('Who? '))", "c")
    question = await browser.until(lambda m: m["msg_type"] == "input_request")
    (kept,) = await list_kept(runtime_id)
    assert kept["pending_input"]
    _, messages = await read_all(runtime_id, cell)
    assert messages[-1]["channel"] == "stdin"
    assert messages[-1]["header"]["msg_id"] == question["header"]["msg_id"]
    await browser.send("stdin", "input_reply", {"value": "Ada"}, parent_header=question["header"])
    await browser.finish(cell)
    (kept,) = await list_kept(runtime_id)
    assert not kept["pending_input"]
    _, messages = await read_all(runtime_id, cell)
    stdin = [message["content"] for message in messages if message["channel"] == "stdin"]
    assert stdin[1]["value"] == "Ada"


async def test_cell_that_no_kernel_takes(api, open_browser, list_kept, read_all):
    reply = await api("POST", "/runtimes", {"environment": "broken"})
    runtime_id = reply.body["id"]
    browser = await open_browser(runtime_id)
    cell = await browser.begin("1", "c")
    outcome = await browser.finish(cell)
    assert outcome.reply["ename"] == "RuntimeUnavailable"
    (kept,) = await list_kept(runtime_id)
    assert kept["state"] == "finished"
    _, messages = await read_all(runtime_id, cell)
    kinds = [message["header"]["msg_type"] for message in messages]
    assert kinds[-3:] == ["error", "execute_reply", "status"]


async def test_cell_that_waits_for_its_kernel_is_kept_once(api, open_browser, list_kept, read_all):
    runtime_id = (await api("POST", "/runtimes", {"environment": "python"})).body["id"]
    browser = await open_browser(runtime_id)
    cell = await browser.begin("print('late')", "c")
    (kept,) = await list_kept(runtime_id)
    assert kept["msg_id"] == cell
    await browser.finish(cell)
    (kept,) = await list_kept(runtime_id)
    assert kept["state"] == "finished"
    assert text_of((await read_all(runtime_id, cell))[1]) == "late\n"


async def test_restart_ends_what_ran(api, launch, events, open_browser, list_kept, gate):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.begin(f"print('begun')\nopen({str(gate)!r}).read()", "c")
    await browser.until(lambda m: m["msg_type"] == "stream")
    reply = await api("POST", f"/runtimes/{runtime_id}/restart")
    await events.until(operation_id=reply.body["id"], operation_state="succeeded")
    (kept,) = await list_kept(runtime_id)
    assert kept["state"] == "finished"
    assert (await browser.execute("print(1)")).text == "1\n"


async def test_other_clients_keep_nothing(launch, open_browser, list_kept):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("print(1)")
    assert await list_kept(runtime_id) == []


async def test_legacy_websocket_keeps_too(launch, open_browser, list_kept, read_all):
    runtime_id = await launch()
    browser = await open_browser(runtime_id, protocol=None)
    cell = await browser.begin("print('over ZMQ')", "c")
    await browser.finish(cell)
    assert text_of((await read_all(runtime_id, cell))[1]) == "over ZMQ\n"


async def test_files_go_with_the_runtime(api, launch, open_browser, plane):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.finish(await browser.begin("1", "c"))
    driver = plane.find(runtime_id)
    directory = plane.services.job_directory(driver.record.job_name)
    assert len(list((directory / "outputs").iterdir())) == 1
    await browser.close()
    await api("DELETE", f"/runtimes/{runtime_id}")
    assert not directory.exists()


@pytest.mark.parametrize("query", ["?offset=x", "?offset=-1", "?offset=1e3"])
async def test_offset_that_is_none(api, launch, query):
    runtime_id = await launch()
    reply = await api("GET", f"/runtimes/{runtime_id}/executions/m", query=query)
    assert (reply.status, reply.reason) == (400, "invalid_input")


async def test_unknown_runtime(api):
    for path in ("/runtimes/none/executions", "/runtimes/none/executions/m"):
        reply = await api("GET", path)
        assert (reply.status, reply.reason) == (404, "unknown_runtime")


async def test_runtime_says_how_its_link_goes_about_it(api, launch, plane, events):
    runtime_id = await launch()
    driver = plane.find(runtime_id)
    driver.unreachable_since_s = 1_000_000_000.0
    driver.connection = ConnectionState(3, 1_000_000_005.5, "nobody listens there", 2, 10)
    driver.tell("reachability")
    reachability = {
        "state": "unknown",
        "since": "2001-09-09T01:46:40.000Z",
        "attempt": 3,
        "next_try_at": "2001-09-09T01:46:45.500Z",
        "message": "nobody listens there",
    }
    for told in (
        (await api("GET", f"/runtimes/{runtime_id}")).body,
        await events.until(action="reachability"),
    ):
        assert told["reachability"] == reachability
        assert told["replaying"] == {"done": 2, "total": 10}
    driver.unreachable_since_s = None
    driver.connection.replay_done = 10
    again = (await api("GET", f"/runtimes/{runtime_id}")).body
    nothing = dict.fromkeys(("since", "attempt", "next_try_at", "message"))
    assert again["reachability"] == {"state": "ok", **nothing}
    assert again["replaying"] is None
