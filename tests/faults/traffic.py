"""Everything that goes between a client and a kernel, in rounds that are always the same."""

from __future__ import annotations

from queue import Empty

LIMIT_S = 60.0

PREPARE = """
import sys, time
from IPython.display import display, update_display
from IPython import get_ipython

def _echo(comm, opened):
    @comm.on_msg
    def _answer(message):
        comm.send({"count": message["content"]["data"]["count"]},
                  buffers=[bytes(part)[::-1] for part in message["buffers"]])

get_ipython().kernel.comm_manager.register_target("echo", _echo)
runs = []
"""
STREAMS = """
for i in range(300):
    print("out", i, flush=i % 50 == 0 or i % 3 == 0)
    if i % 50 == 0:
        print("err", i, file=sys.stderr, flush=True)
"""
DISPLAYS = """
for i in range(20):
    display({"text/plain": f"number {i}", "image/png": "A" * 50_000}, raw=True,
            display_id=f"d{i}", metadata={"n": i})
    update_display({"text/plain": f"again {i}"}, raw=True, display_id=f"d{i}")
6 * 7
"""
QUESTIONS = """
for i in range(3):
    print("got", input(f"question {i}? "), flush=True)
"""
ENDLESS = """
print("begun", flush=True)
while True:
    time.sleep(0.01)
"""


class Traffic:
    """Drives one runtime with one client.

    Parameters
    ----------
    handle : tests.faults.support.Handle
        The runtime, with an IPython kernel.
    """

    def __init__(self, handle):
        self._handle = handle
        self._client = handle.client
        assert self._run(PREPARE)[-1] == ("reply", "ok")

    def round(self):
        """Do all of it once; returns what came back, without what differs each time."""
        return {
            "streams": self._run(STREAMS),
            "displays": self._run(DISPLAYS),
            "comms": self._talk(),
            "questions": self._run(QUESTIONS, answer=lambda prompt: f"answer to {prompt}"),
            "interrupted": self._run(ENDLESS, interrupt=True),
            "burst": self._burst(),
            "error": self._run("1 / 0"),
        }

    def _run(self, code, *, answer=None, interrupt=False):
        msg_id = self._client.execute(code, allow_stdin=answer is not None)
        return self._read(msg_id, answer=answer, interrupt=interrupt)

    def _read(self, msg_id, *, answer=None, interrupt=False):
        """Return everything that belongs to a request, until its reply and its end are there."""
        entries, reply, is_idle = [], None, False
        while reply is None or not is_idle:
            if answer is not None:
                self._answer(answer)
            message = self._next_output()
            if message is not None and message["parent_header"].get("msg_id") == msg_id:
                content = message["content"]
                if message["msg_type"] == "status":
                    is_idle = content["execution_state"] == "idle"
                    continue
                _add(entries, message)
                if interrupt and content.get("text", "").startswith("begun"):
                    self._handle.on(self._handle.driver.kernel.interrupt())
            reply = reply or self._find_reply(msg_id)
        return [*entries, ("reply", reply["content"].get("ename") or reply["content"]["status"])]

    def _next_output(self):
        try:
            # Long enough never to matter, short enough to look after questions meanwhile.
            return self._client.get_iopub_msg(timeout=0.05)
        except Empty:
            return None

    def _find_reply(self, msg_id):
        while True:
            try:
                reply = self._client.get_shell_msg(timeout=0)
            except Empty:
                return None
            if reply["parent_header"].get("msg_id") == msg_id:
                return reply

    def _answer(self, answer):
        try:
            question = self._client.get_stdin_msg(timeout=0)
        except Empty:
            return
        self._client.input(answer(question["content"]["prompt"]))

    def _talk(self):
        session, channel = self._client.session, self._client.shell_channel
        comm_id = session.msg_id
        opened = {"comm_id": comm_id, "target_name": "echo", "data": {}}
        channel.send(session.msg("comm_open", opened))
        for count in range(10):
            content = {"comm_id": comm_id, "data": {"count": count}}
            message = session.msg("comm_msg", content)
            session.send(channel.socket, message, buffers=[bytes([count, 255, 254]) * 30_000, b""])
        answers = []
        while len(answers) < 10:
            message = self._client.get_iopub_msg(timeout=LIMIT_S)
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == comm_id:
                buffers = [bytes(part) for part in message["buffers"]]
                answers.append((message["content"]["data"]["count"], buffers))
        return answers

    def _burst(self):
        """Many cells at once; each says how many ran before it, in this round."""
        self._run("runs.clear()")
        sent = [self._client.execute(f"print({n}, len(runs)); runs.append({n})") for n in range(10)]
        outputs, replies, idle = {msg_id: [] for msg_id in sent}, {}, set()
        while len(replies) < len(sent) or len(idle) < len(sent):
            message = self._next_output()
            if message is not None and message["parent_header"].get("msg_id") in outputs:
                owner = message["parent_header"]["msg_id"]
                if message["msg_type"] != "status":
                    _add(outputs[owner], message)
                elif message["content"]["execution_state"] == "idle":
                    idle.add(owner)
            try:
                reply = self._client.get_shell_msg(timeout=0)
                replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
            except Empty:
                pass
        return [(outputs[msg_id], replies[msg_id]) for msg_id in sent]


def _add(entries, message):
    """Note an output; how a stream is cut into messages is no one's business."""
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        previous = entries[-1] if entries else None
        if previous is not None and previous[:2] == ("stream", content["name"]):
            entries[-1] = (*previous[:2], previous[2] + content["text"])
        else:
            entries.append(("stream", content["name"], content["text"]))
    elif kind == "error":
        entries.append(("error", content["ename"], content["evalue"]))
    elif kind == "execute_input":
        entries.append(("input", content["code"]))
    else:
        transient = content.get("transient", {})
        entries.append((kind, content.get("data"), content.get("metadata"), transient))
