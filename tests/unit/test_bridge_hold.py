"""The bridge while a kernel's state is saved or restored: what it gives the kernel, and when."""

from __future__ import annotations

import asyncio

import pytest
import zmq

from jupyter_remote_kernels.link.bridge import Bridge, Keys
from jupyter_remote_kernels.protocol.frames import decode, encode
from jupyter_remote_kernels.protocol.messages import Composer, message_type, unpack

INFO = {"status": "ok", "banner": "a kernel"}


class Kernel:
    """The other end of the link: keeps what it is given, and answers when it is told to."""

    def __init__(self, bridge):
        self.given = []
        self._bridge = bridge
        self._composer = Composer("kernel")

    def send(self, channel, parts):
        self.send_encoded(encode(channel, parts))

    def send_encoded(self, data):
        channel, parts = decode(data)
        self.given.append((channel, message_type(parts), unpack(parts[0])["msg_id"]))
        self.last = bytes(parts[0])

    def answer(self, parent=None):
        parts = self._composer.compose("execute_reply", {"status": "ok"}, parent or self.last)
        data = encode("shell", parts)
        self._bridge.receive("shell", decode(data)[1], data)

    @property
    def types(self):
        return [msg_type for _, msg_type, _ in self.given]


class Page:
    """A browser."""

    def __init__(self, bridge):
        self.said = []
        self._bridge = bridge
        self._composer = Composer("page")
        bridge.add_tap(self)

    def deliver(self, data):
        channel, parts = decode(data)
        self.said.append((channel, message_type(parts), unpack(parts[3])))

    def close(self):
        pass

    def ask(self, msg_type, content=None, channel="shell"):
        parts = self._composer.compose(msg_type, content or {"code": "1", "silent": False})
        self._bridge.take_framed(self, encode(channel, parts))

    @property
    def answers(self):
        return [content["status"] for channel, _, content in self.said if channel == "shell"]


@pytest.fixture
def bridged():
    """Run a scenario with a bridge, its kernel and a page; gives a function for it."""
    context = zmq.Context()

    def run(scenario):
        async def play():
            bridge = Bridge(context, "k", Keys(b"key"), INFO)
            kernel, page = Kernel(bridge), Page(bridge)
            try:
                await asyncio.wait_for(scenario(bridge, kernel, page), 5)
            finally:
                bridge.close()

        asyncio.run(play())

    yield run
    context.destroy(linger=0)


async def settle():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_a_kernel_that_is_saved_gets_no_requests_and_all_of_them_afterwards(bridged):
    async def scenario(bridge, kernel, page):
        bridge.attach(kernel, INFO)
        bridge.hold()
        for msg_type in ("execute_request", "complete_request", "comm_msg"):
            page.ask(msg_type)
        page.ask("interrupt_request", channel="control")
        await settle()
        assert kernel.types == ["interrupt_request"]
        assert page.answers == ["ok"]  # the completion, which is none
        bridge.release()
        assert kernel.types == ["interrupt_request", "execute_request", "comm_msg"]
        kernel.answer()
        page.ask("execute_request")
        await settle()
        assert kernel.types[-1] == "execute_request"

    bridged(scenario)


def test_the_cells_that_a_kernel_was_given_are_waited_for(bridged):
    async def scenario(bridge, kernel, page):
        bridge.attach(kernel, INFO)
        page.ask("execute_request")
        await settle()
        bridge.hold()
        waiting = asyncio.ensure_future(bridge.executing.wait_quiet())
        await settle()
        assert bridge.executing
        assert not waiting.done()
        kernel.answer()
        await waiting
        assert not bridge.executing
        assert page.answers == ["ok"]

    bridged(scenario)


def test_cells_of_a_kernel_that_is_gone_are_not_waited_for(bridged):
    async def scenario(bridge, kernel, page):
        bridge.attach(kernel, INFO)
        page.ask("execute_request")
        await settle()
        waiting = asyncio.ensure_future(bridge.executing.wait_quiet())
        await settle()
        bridge.detach(kernel_gone=True)
        await waiting

    bridged(scenario)


def test_a_kernel_that_gets_its_state_back_is_given_nothing_before(bridged):
    async def scenario(bridge, kernel, page):
        bridge.hold()
        page.ask("execute_request")
        bridge.expect_kernel()
        page.ask("kernel_info_request")
        await settle()
        assert page.said[-2][2]["banner"] == "a kernel"  # at once, from memory
        bridge.attach(kernel, INFO)
        await settle()
        assert kernel.given == []
        assert bridge.activity.execution_state == "starting"
        bridge.release()
        assert kernel.types == ["execute_request"]
        assert bridge.activity.execution_state == "idle"
        kernel.answer()
        assert page.answers[-1] == "ok"

    bridged(scenario)
