"""The stand-in: what it answers, holds, aborts, rejects, and hands over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jupyter_remote_kernels.link.stand_in import Request, StandIn, describe_kernel
from jupyter_remote_kernels.protocol.messages import Composer, message_type, unpack


class Desk:
    """A stand-in with everything that it says, in order."""

    def __init__(self):
        self.said = []
        self.stand_in = StandIn(describe_kernel("python"), self._reply, self._publish)
        self._composer = Composer("client")

    def _reply(self, request, parts):
        self.said.append((request.msg_id, message_type(parts), unpack(parts[3])))
        assert unpack(parts[1])["msg_id"] == request.msg_id

    def _publish(self, parts):
        parent = unpack(parts[1]).get("msg_id")
        self.said.append((parent, message_type(parts), unpack(parts[3])))

    def request(self, msg_type, content=None, channel="shell"):
        parts = self._composer.compose(msg_type, content or {})
        msg_id = unpack(parts[0])["msg_id"]
        views = [memoryview(part) for part in parts]
        return Request(channel, msg_id, msg_type, views, client=None)

    def ask(self, msg_type, content=None, channel="shell"):
        request = self.request(msg_type, content, channel)
        self.stand_in.handle(request)
        return request

    def take(self):
        said, self.said = self.said, []
        return said


@pytest.fixture
def desk():
    return Desk()


def busy(request):
    return (request.msg_id, "status", {"execution_state": "busy"})


def idle(request):
    return (request.msg_id, "status", {"execution_state": "idle"})


ANSWERED = {
    "history_request": {"history": []},
    "comm_info_request": {"comms": {}},
    "is_complete_request": {"status": "unknown"},
    "inspect_request": {"found": False},
    "complete_request": {"matches": []},
}


@pytest.mark.parametrize("msg_type", ANSWERED)
def test_questions_are_answered_from_memory_between_busy_and_idle(desk, msg_type):
    request = desk.ask(msg_type)
    first, answer, last = desk.take()
    assert (first, last) == (busy(request), idle(request))
    assert answer[1] == msg_type.replace("_request", "_reply")
    assert ANSWERED[msg_type].items() <= answer[2].items()
    assert answer[2]["status"] in ("ok", "unknown")


def test_kernel_info_is_what_is_remembered(desk):
    desk.stand_in.kernel_info = {"status": "ok", "banner": "from last time"}
    desk.ask("kernel_info_request")
    assert desk.take()[1][2] == {"status": "ok", "banner": "from last time"}


@pytest.mark.parametrize("language", ["python", "R"])
def test_unknown_kernel_is_described_by_its_language(language):
    info = describe_kernel(language)
    assert info["language_info"]["name"] == language
    assert info["status"] == "ok"


def test_completion_stays_where_the_cursor_is(desk):
    desk.ask("complete_request", {"code": "abc", "cursor_pos": 2})
    content = desk.take()[1][2]
    assert (content["cursor_start"], content["cursor_end"]) == (2, 2)


@pytest.mark.parametrize("command,success", [("debugInfo", True), ("initialize", False)])
def test_debugger_is_told_that_there_is_nothing_to_debug(desk, command, success):
    desk.ask("debug_request", {"command": command, "seq": 7, "type": "request"}, "control")
    content = desk.take()[1][2]
    assert (content["success"], content["request_seq"]) == (success, 7)
    assert content["command"] == command


def test_cell_is_held_with_busy(desk):
    request = desk.ask("execute_request", {"code": "1"})
    assert desk.take() == [busy(request)]
    assert desk.stand_in.held_executes == 1


def test_busy_is_repeated_for_who_comes_later(desk):
    cells = [desk.ask("execute_request") for _ in range(2)]
    desk.ask("comm_msg")
    desk.take()
    desk.stand_in.repeat_busy()
    assert desk.take() == [busy(cell) for cell in cells]


def test_comm_messages_wait_without_a_word(desk):
    request = desk.ask("comm_msg")
    assert desk.take() == []
    assert desk.stand_in.take_held() == [request]


def test_handover_is_in_order_and_once(desk):
    held = [desk.ask(kind) for kind in ("comm_open", "execute_request", "comm_msg")]
    assert desk.stand_in.take_held() == held
    assert desk.stand_in.take_held() == []
    assert desk.stand_in.held_executes == 0


@pytest.mark.parametrize("way", ["call", "message"])
def test_interrupt_aborts_cells_and_keeps_the_rest(desk, way):
    comm = desk.ask("comm_open")
    cells = [desk.ask("execute_request") for _ in range(2)]
    desk.take()
    if way == "call":
        desk.stand_in.abort_held()
        said = desk.take()
    else:
        request = desk.ask("interrupt_request", channel="control")
        said = [item for item in desk.take() if item[0] != request.msg_id]
    aborted = {"status": "aborted"}
    expected = [[(c.msg_id, "execute_reply", aborted), idle(c)] for c in cells]
    assert said == [item for pair in expected for item in pair]
    assert desk.stand_in.take_held() == [comm]


def test_rejection_is_an_error_with_its_reason(desk):
    cell = desk.ask("execute_request")
    desk.ask("comm_msg")
    desk.take()
    desk.stand_in.reject_held("the job was cancelled", "Start a new runtime.")
    error, reply, last = desk.take()
    assert error[:2] == (cell.msg_id, "error")
    assert reply[2]["status"] == "error"
    assert reply[2]["evalue"] == error[2]["evalue"] == "the job was cancelled"
    assert reply[2]["traceback"] == ["the job was cancelled", "Start a new runtime."]
    assert last == idle(cell)
    assert desk.stand_in.take_held() == []


class TestKernelThatIsAboutToCome:
    @pytest.fixture(autouse=True)
    def expecting(self, desk):
        desk.stand_in.hold_info = True

    def test_it_answers_kernel_info_itself(self, desk):
        request = desk.ask("kernel_info_request")
        assert desk.take() == []
        assert desk.stand_in.take_held() == [request]

    def test_patience_ends(self, desk):
        request = desk.ask("kernel_info_request")
        cell = desk.ask("execute_request")
        desk.take()
        desk.stand_in.answer_held_info()
        assert [item[1] for item in desk.take()] == ["status", "kernel_info_reply", "status"]
        assert request.msg_id != cell.msg_id
        assert desk.stand_in.take_held() == [cell]

    def test_rejection_answers_it_too(self, desk):
        request = desk.ask("kernel_info_request")
        desk.stand_in.reject_held("gone", "")
        assert (request.msg_id, "kernel_info_reply") in [item[:2] for item in desk.take()]


def test_shutdown_request_is_answered(desk):
    desk.ask("shutdown_request", {"restart": False}, "control")
    assert desk.take()[1][1:] == ("shutdown_reply", {"status": "ok", "restart": False})


def test_greeting_is_the_protocols(desk):
    desk.stand_in.greet()
    assert desk.take() == [(None, "iopub_welcome", {"subscription": ""})]


def test_state_without_a_request(desk):
    desk.stand_in.publish_status("starting")
    assert desk.take() == [(None, "status", {"execution_state": "starting"})]


def test_unknown_requests_wait_for_the_kernel(desk):
    request = desk.ask("some_future_request")
    assert desk.take() == []
    assert desk.stand_in.take_held() == [request]


def test_content_that_is_no_json_is_not_answered_with_an_exception(desk):
    good = desk.request("complete_request")
    bad = replace(good, parts=[*good.parts[:3], memoryview(b"{")])
    desk.stand_in.handle(bad)
    assert [item[1] for item in desk.take()] == ["status", "complete_reply", "status"]


@pytest.fixture
def sleeping(desk):
    desk.wakes = 0

    def wake():
        desk.wakes += 1

    desk.stand_in.wake = wake
    return desk


def test_a_cell_wakes_a_paused_kernel_and_is_held_for_it(sleeping):
    request = sleeping.ask("execute_request", {"code": "1", "silent": False})
    assert sleeping.take() == [busy(request)]
    assert sleeping.wakes == 1
    assert sleeping.stand_in.take_held() == [request]


@pytest.mark.parametrize("msg_type", [*ANSWERED, "kernel_info_request", "debug_request"])
def test_a_question_wakes_nobody(sleeping, msg_type):
    sleeping.ask(msg_type, {"command": "debugInfo"} if msg_type == "debug_request" else {})
    assert sleeping.wakes == 0
    assert len(sleeping.take()) == 3
    assert sleeping.stand_in.take_held() == []


def test_what_a_page_executes_by_itself_wakes_nobody_and_is_answered(sleeping):
    request = sleeping.ask("execute_request", {"code": "%who", "silent": True})
    assert sleeping.wakes == 0
    first, _, answer, last = sleeping.take()
    assert (first, last) == (busy(request), idle(request))
    assert answer[1] == "execute_reply"
    assert answer[2]["status"] == "error"
    assert "paused" in answer[2]["evalue"]
    assert sleeping.stand_in.take_held() == []


def test_a_paused_kernel_that_wakes_for_nobody_says_so(sleeping):
    sleeping.stand_in.refuse("the kernel is paused", "Resume it.")
    sleeping.ask("execute_request", {"code": "1", "silent": False})
    assert sleeping.wakes == 0
    assert [said[2]["evalue"] for said in sleeping.take() if said[1] == "execute_reply"] == [
        "the kernel is paused"
    ]
