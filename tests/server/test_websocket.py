"""What a notebook's websocket carries, for runtimes and for ordinary local kernels."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

FRAMED = "v1.kernel.websocket.jupyter.org"
LEGACY = None
protocols = pytest.mark.parametrize("protocol", [FRAMED, LEGACY], ids=["framed", "legacy"])

ECHO_COMM = """
def opened(comm, message):
    comm.on_msg(lambda m: comm.send(
        {"sizes": [len(b) for b in m["buffers"]]},
        buffers=[bytes(b)[::-1] for b in m["buffers"]],
    ))
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""


@pytest.fixture
def kernel(api, launch):
    """Start a runtime, or an ordinary local kernel with the same interpreter."""

    async def start(kind):
        if kind == "runtime":
            return await launch()
        reply = await api.fetch("POST", "/api/kernels", json.dumps({"name": "python3"}).encode())
        return reply.body["id"]

    return start


@pytest.mark.parametrize("kind", ["runtime", "local"])
async def test_small_messages_are_sent_at_once(kernel, open_browser, kind):
    await open_browser(await kernel(kind))
    (connection,) = ZMQChannelsWebsocketConnection._open_sockets
    raw = connection.websocket_handler.ws_connection.stream.socket
    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@protocols
async def test_many_quick_lines_arrive_in_order(launch, open_browser, protocol):
    browser = await open_browser(await launch(), protocol=protocol)
    # The legacy way costs the server much more per line, and the test as much time.
    count = 10_000 if protocol == FRAMED else 2_000
    outcome = await browser.execute(f"for i in range({count}): print(i, flush=True)")
    assert outcome.text == "".join(f"{i}\n" for i in range(count))
    assert outcome.reply["status"] == "ok"
    assert outcome.states == ["busy", "idle"]


@protocols
async def test_large_display(launch, open_browser, protocol):
    browser = await open_browser(await launch(), protocol=protocol)
    outcome = await browser.execute(
        "from IPython.display import display\ndisplay({'text/plain': 'x' * 20_000_000}, raw=True)"
    )
    assert outcome.content("display_data")["data"]["text/plain"] == "x" * 20_000_000


@protocols
async def test_large_cell(launch, open_browser, protocol):
    browser = await open_browser(await launch(), protocol=protocol)
    outcome = await browser.execute(f"text = {'y' * 5_000_000!r}\nprint(len(text))")
    assert outcome.text == "5000000\n"


@protocols
async def test_binary_buffers_of_comms_in_both_directions(launch, open_browser, protocol):
    browser = await open_browser(await launch(), protocol=protocol)
    await browser.execute(ECHO_COMM)
    opening = {"comm_id": "c1", "target_name": "echo", "data": {}}
    await browser.send("shell", "comm_open", opening)
    buffers = [b"\xff\xfe\x00binary", b"", bytes(range(256)) * 4096]
    await browser.send("shell", "comm_msg", {"comm_id": "c1", "data": {}}, buffers=buffers)
    answer = await browser.until(lambda m: m["msg_type"] == "comm_msg")
    assert answer["content"]["data"] == {"sizes": [len(item) for item in buffers]}
    assert answer["buffers"] == [item[::-1] for item in buffers]
    assert (await browser.execute("print('goes on')")).text == "goes on\n"


@protocols
async def test_input(launch, open_browser, protocol):
    browser = await open_browser(await launch(), protocol=protocol)
    cell = await browser.begin("name = input('Who? '); print('Hello', name)")
    question = await browser.until(lambda m: m["msg_type"] == "input_request")
    assert question["content"]["prompt"] == "Who? "
    header = question["header"]
    header = {**header, "date": str(header["date"])}
    await browser.send("stdin", "input_reply", {"value": "Ada"}, parent_header=header)
    assert (await browser.finish(cell)).text == "Hello Ada\n"


async def test_question_comes_after_what_was_put_out_before_it(launch, open_browser):
    browser = await open_browser(await launch())
    code = (
        "from IPython.display import clear_output\n"
        "clear_output()\n"
        "for _ in range(5):\n"
        "    display({'text/plain': 'x' * 10_000_000}, raw=True)\n"
        "input('Who? ')"
    )
    for _ in range(5):
        cell = await browser.begin(code)
        seen = []
        while seen[-1:] != ["input_request"]:
            message = await browser.next()
            seen.append(message["msg_type"])
        assert seen[-7:] == ["clear_output", *["display_data"] * 5, "input_request"]
        await browser.send(
            "stdin", "input_reply", {"value": "Ada"}, parent_header=message["header"]
        )
        await browser.finish(cell)


async def test_two_browsers_at_one_kernel(launch, open_browser):
    runtime_id = await launch()
    first, second = await open_browser(runtime_id), await open_browser(runtime_id)
    cell = await first.begin("print('for both')")
    outcome = await first.finish(cell)
    assert outcome.text == "for both\n"
    # The other one sees the output, and the reply is not for it.
    seen = []
    while seen[-1:] != ["idle"]:
        message = await second.until(lambda m: m["parent_header"].get("msg_id") == cell)
        assert message["channel"] == "iopub"
        seen.append(message["content"].get("execution_state", message["msg_type"]))
    assert seen == ["busy", "execute_input", "stream", "idle"]
    assert (await second.execute("print('mine')")).text == "mine\n"


async def test_question_goes_to_who_ran_the_cell(launch, open_browser):
    runtime_id = await launch()
    first, second = await open_browser(runtime_id), await open_browser(runtime_id)
    cell = await second.begin("print(input())")
    question = await second.until(lambda m: m["msg_type"] == "input_request")
    await second.send("stdin", "input_reply", {"value": "two"}, parent_header=question["header"])
    assert (await second.finish(cell)).text == "two\n"
    idle = await first.until(
        lambda m: (
            m["content"].get("execution_state") == "idle"
            and m["parent_header"].get("msg_id") == cell
        )
    )
    assert idle["channel"] == "iopub"
    assert not [m for m in first._unread if m["channel"] != "iopub"]


@protocols
async def test_same_session_gets_what_it_missed(launch, open_browser, tmp_path, protocol):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    runtime_id = await launch()
    first = await open_browser(runtime_id, "one-notebook", protocol)
    cell = await first.begin(
        f"print('begun', flush=True)\nopen({str(gate)!r}).read()\n"
        "for i in range(3000): print(i, flush=True)"
    )
    await first.until(lambda m: m["msg_type"] == "stream")
    await first.close()
    # Opens the gate; returns when the cell has gone through it.
    await asyncio.to_thread(gate.write_text, "")
    again = await open_browser(runtime_id, "one-notebook", protocol)
    outcome = await again.finish(cell)
    assert outcome.reply["status"] == "ok"
    assert outcome.text == "".join(f"{i}\n" for i in range(3000))


async def test_completion_inspection_and_debugger(launch, open_browser):
    browser = await open_browser(await launch())
    await browser.execute("import collections")
    reply = await browser.ask("complete_request", {"code": "collections.Coun", "cursor_pos": 16})
    assert "Counter" in reply["matches"][0]
    reply = await browser.ask(
        "inspect_request", {"code": "collections.Counter", "cursor_pos": 19, "detail_level": 0}
    )
    assert reply["found"]
    request = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
    reply = await browser.ask("debug_request", request, channel="control")
    assert reply["success"]
    assert not reply["body"]["isStarted"]


async def test_errors_and_stop_on_error(launch, open_browser):
    browser = await open_browser(await launch())
    cells = [await browser.begin(code) for code in ("1 / 0", "print('never')")]
    first, second = [await browser.finish(cell) for cell in cells]
    assert first.reply["ename"] == "ZeroDivisionError"
    assert "ZeroDivisionError" in first.content("error")["traceback"][-1]
    assert second.reply["status"] == "aborted"


async def test_garbage_from_a_browser_harms_nobody(launch, open_browser):
    runtime_id = await launch()
    bad, good = await open_browser(runtime_id), await open_browser(runtime_id)
    for data in (b"", b"\0" * 7, b"\xff" * 64, (2**40).to_bytes(8, "little"), b"\x02" + b"\0" * 40):
        await bad.socket.write_message(data, binary=True)
    # A frame that is sound, around parts that are no kernel message.
    await bad.send("shell", "")
    await bad.send("iopub", "execute_request", {"code": "1"})
    await bad.send("agent", "execute_request", {"code": "1"})
    await bad.send("nothing", "execute_request", {"code": "1"})
    assert (await good.execute("print(1)")).text == "1\n"
    assert (await bad.execute("print(2)")).text == "2\n"
