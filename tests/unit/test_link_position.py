"""What a link leaves for the process after it, and what that makes of it."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest

from jupyter_remote_kernels.link.link import Link
from jupyter_remote_kernels.link.position import LinkPosition
from jupyter_remote_kernels.protocol.frames import AGENT_CHANNEL, encode
from jupyter_remote_kernels.protocol.messages import pack
from jupyter_remote_kernels.protocol.resumable import SUBPROTOCOL, Endpoint


class TestFile:
    def test_outlives_its_process_without_a_word(self, tmp_path):
        path = tmp_path / "link.position"
        child = os.fork()
        if child == 0:
            position = LinkPosition(path)
            position.finished, position.delivered = 7, 2**40
            os._exit(0)  # as a kill: nothing is closed, nothing is flushed
        os.waitpid(child, 0)
        position = LinkPosition(path)
        assert (position.finished, position.delivered) == (7, 2**40)
        assert path.stat().st_mode & 0o077 == 0
        position.close()

    def test_session_stays_until_it_is_forgotten(self, tmp_path):
        first = LinkPosition(tmp_path / "link.position")
        second = LinkPosition(tmp_path / "link.position")
        assert first.session == second.session
        first.finished = 3
        first.forget()
        assert first.session == second.session
        assert second.finished == 0

    def test_file_of_another_form_is_begun_anew(self, tmp_path):
        path = tmp_path / "link.position"
        path.write_bytes(b"short")
        assert LinkPosition(path).finished == 0

    def test_without_a_file(self):
        assert LinkPosition(None).session != LinkPosition(None).session


class Wire:
    """A websocket between a link and the agent's end, on which frames are moved by hand."""

    subprotocol = SUBPROTOCOL
    close_code = None

    def __init__(self, agent, on_message, kernel_info):
        self._agent = agent
        self._kernel_info = kernel_info
        self._on_message = on_message
        agent.disconnect()

    def send(self, parts):
        was_ready = self._agent.is_ready
        self._agent.receive(b"".join(parts))
        if not was_ready:
            self._on_message(self._agent.greet({"kernel_info": self._kernel_info, "waiting": 0}))
        self.deliver()

    def deliver(self):
        for frame in list(self._agent.outgoing()):
            self._on_message(b"".join(map(bytes, frame)))

    def close(self, code=1000):
        """Nobody is told."""


class Recorder:
    """A bridge and a listener that note what they get, and keep it only when it is flushed."""

    def __init__(self):
        self.received, self.told = [], []
        self.pending, self.written = [], []
        self.activity = SimpleNamespace(execution_state="idle")

    def receive(self, channel, parts, encoded, number, *, is_known):
        self.received.append((bytes(parts[3]), is_known))
        self.pending.append((number, bytes(parts[3])))

    def flush(self):
        self.written += self.pending
        self.pending = []

    def __getattr__(self, name):
        return lambda *arguments, **options: self.told.append(name)


def make_link(agent, path, kernel_info=None):
    recorder, wires = Recorder(), []

    async def open_channels(name, on_message):
        wires.append(Wire(agent, on_message, kernel_info))
        return wires[-1]

    client = SimpleNamespace(open_channels=open_channels, endpoint="there", close=lambda: None)
    return Link(client, recorder, recorder, LinkPosition(path)), recorder, wires


def say(agent, text):
    agent.send([encode("iopub", [b"{}", b"{}", b"{}", text])])


def test_successor_of_a_killed_process_writes_what_that_had_only_delivered(tmp_path):
    async def scenario():
        path = tmp_path / "link.position"
        agent = Endpoint(LinkPosition(path).session)
        first, before, wires = make_link(agent, path)
        await first._connect()
        for text in (b"one", b"two"):
            say(agent, text)
        wires[0].deliver()
        first._session._acknowledge()
        say(agent, b"three")
        wires[0].deliver()
        # Killed here: "three" was shown to somebody, but is not in the journal.
        assert [text for text, _ in before.received] == [b"one", b"two", b"three"]
        assert [text for _, text in before.written] == [b"one", b"two"]
        first._session._stop_timer()
        say(agent, b"four")
        second, after, _ = make_link(agent, path)
        await second._connect()
        assert after.received == [(b"three", True), (b"four", False)]
        second._session._acknowledge()
        assert [text for _, text in after.written] == [b"three", b"four"]
        assert agent.sender.waiting == 0

    asyncio.run(scenario())


HEARD = ("link_ready", "kernel_exited")
STARTED = ("kernel_starting", "kernel_ready")


@pytest.mark.parametrize("acknowledges", [True, False])
@pytest.mark.parametrize(
    "events, kernel_info, expected",
    [
        (STARTED, {"now": True}, ["link_ready"]),
        ((*STARTED, "kernel_exited"), None, ["kernel_exited"]),
        ((*STARTED, "kernel_exited", *STARTED), {"now": True}, ["link_ready"]),
        ((*STARTED, "kernel_exited", "kernel_starting"), None, ["kernel_exited"]),
    ],
    ids=["alive", "dead", "restarted", "restarting"],
)
def test_successor_hears_of_the_kernel_as_it_is_now(
    tmp_path, events, kernel_info, expected, acknowledges
):
    async def scenario():
        path = tmp_path / "link.position"
        agent = Endpoint(LinkPosition(path).session)
        first, _, wires = make_link(agent, path)
        await first._connect()
        say(agent, b"one")
        wires[0].deliver()
        if acknowledges:
            first._session._acknowledge()
        for event in events:
            agent.send([encode(AGENT_CHANNEL, [pack({"event": event, "kernel_info": {"a": 1}})])])
        wires[0].deliver()
        first._session._stop_timer()
        # Killed here: all of it was passed on, and none of it was acknowledged.
        second, after, _ = make_link(agent, path, kernel_info)
        await second._connect()
        told = [name for name in after.told if name in HEARD]
        assert told == expected
        second._session._stop_timer()

    asyncio.run(scenario())
