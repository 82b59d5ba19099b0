"""A kernel's questions reach who can answer them, however slowly its sockets come up."""

from __future__ import annotations

import sys

import pytest

from tests.contract.agents import Cells
from tests.contract.state_calls import use

__all__ = ["use"]

# ipykernel, whose socket for questions is there later than its others, or never.
LATE = """
import threading
from ipykernel.kernelapp import IPKernelApp

bind = IPKernelApp._bind_socket

def bind_later(self, socket, port):
    if port != self.stdin_port:
        return bind(self, socket, port)
    if DELAY_S is not None:
        threading.Timer(DELAY_S, bind, (self, socket, port)).start()
    return port

IPKernelApp._bind_socket = bind_later
IPKernelApp.launch_instance()
"""


def make_argv(delay_s):
    code = f"DELAY_S = {delay_s}\n{LATE}"
    return [sys.executable, "-Xfrozen_modules=off", "-c", code, "-f", "{connection_file}"]


@pytest.mark.parametrize("delay_s", [0.0, 0.7])
def test_the_first_cell_may_ask(use, delay_s):
    async def work(agent):
        async with Cells.of(agent) as cells:
            content = {"code": "name = input('Who? ')", "silent": False, "allow_stdin": True}
            cell = cells.ask("execute_request", content)
            question = await cells.wait(lambda message: message["channel"] == "stdin")
            assert question["content"]["prompt"] == "Who? "
            cells.ask("input_reply", {"value": "Ada"}, "stdin")
            assert (await cells.reply(cell))["status"] == "ok"

    use(work, make_argv(delay_s))


def test_a_kernel_that_never_asks_is_used_all_the_same(use):
    async def work(agent):
        async with Cells.of(agent) as cells:
            assert (await cells.reply(cells.run("1")))["status"] == "ok"

    use(work, make_argv(None))
