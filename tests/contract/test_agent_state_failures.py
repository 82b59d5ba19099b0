"""State through a real agent: calls that are cancelled, fail, or are refused."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing

import pytest

from jupyter_remote_kernels.errors import (
    Conflict,
    LinkError,
    LinkRefused,
    LinkUnavailable,
    NotSupported,
)
from jupyter_remote_kernels.link.streaming import StreamedRequest
from tests.contract.agents import Cells
from tests.contract.state_calls import (
    STAND_IN,
    MiB,
    capture,
    chunks,
    command,
    digest_of,
    is_free,
    refused,
    use,
)

__all__ = ["use"]

# Does what it is told, but says that it is something else.
OTHER = (
    "from ipykernel import ipkernel, kernelapp\n"
    "ipkernel.IPythonKernel.implementation = 'other'\n"
    "kernelapp.launch_new_instance()"
)


class TestCancel:
    def test_reader_that_goes_away_frees_the_kernel(self, use, tmp_path):
        async def work(agent):
            async with aclosing(agent.client.capture(command("capture", "chunks", 500))) as stream:
                received = 0
                while received < 5 * MiB:
                    received += (await anext(stream)).nbytes
            await is_free(agent)
            assert int((tmp_path / "sent").read_text()) < 500 * MiB

        use(work)

    def test_call_that_hangs_is_interrupted_and_not_the_next_cell(self, use):
        async def work(agent):
            async with aclosing(agent.client.capture(command("capture", "hang", 2))) as stream:
                await anext(stream)
                async with Cells.of(agent) as cells:
                    cell = cells.run("import time; time.sleep(1.5); 'slept'")
                    await stream.aclose()
                    assert (await cells.reply(cell))["status"] == "ok"
            await is_free(agent)

        use(work)

    def test_call_that_waits_for_a_cell_leaves_no_trace(self, use, tmp_path):
        async def work(agent):
            async with Cells.of(agent) as cells:
                cell = cells.run("import time; time.sleep(1.5)")
                await cells.wait(lambda m: m["content"].get("execution_state") == "busy")
                for waiting in (
                    agent.client.variables(),
                    agent.client.restore(chunks(50)),
                    anext(agent.client.capture(command("capture", "chunks", 1))),
                ):
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(waiting, 0.2)
                assert (await cells.reply(cell))["status"] == "ok"
                await is_free(agent)
            # Their sockets were gone before the kernel came to them.
            assert not [path for path in tmp_path.iterdir() if "-s" in path.name]
            assert not (tmp_path / "sent").exists()

        use(work)

    def test_body_that_fails_cancels_and_its_error_is_the_callers(self, use):
        async def body():
            async for piece in chunks(3, end=False):
                yield piece
            raise OSError("the disk is gone")

        async def work(agent):
            with pytest.raises(OSError, match="the disk is gone"):
                await agent.client.restore(body())
            await is_free(agent)

        use(work)


class TestFailures:
    @pytest.mark.parametrize("count", [0, 3])
    def test_kernel_that_is_killed_in_a_capture_is_named(self, use, count):
        async def work(agent):
            with refused(LinkError, "kernel_died") as caught:
                await capture(agent, "die", count)
            assert "SIGKILL" in caught.value.message
            with refused(Conflict, "no_kernel"):
                await agent.client.variables()
            await agent.client.restart(STAND_IN, {})
            await is_free(agent)

        use(work)

    def test_kernel_that_is_killed_in_a_restore_is_named(self, use):
        async def body():
            yield command("restore", "die", 5 * MiB)
            rest = chunks(100)
            await anext(rest)
            async for piece in rest:
                yield piece

        async def work(agent):
            with refused(LinkError, "kernel_died"):
                await agent.client.restore(body())

        use(work)

    def test_restart_in_a_capture_ends_it(self, use):
        async def work(agent):
            stream = agent.client.capture(command("capture", "hang", 1))
            await anext(stream)
            await agent.client.restart(STAND_IN, {})
            with refused(LinkError, "kernel_died"):
                async for _ in stream:
                    pass
            await is_free(agent)

        use(work)

    def test_refusal_in_the_middle_stops_the_sender(self, use):
        async def body():
            yield command("restore", "refuse")
            rest = chunks(100_000)
            await anext(rest)
            async for piece in rest:
                yield piece

        async def work(agent):
            with refused(LinkError, "restore_failed") as caught:
                await agent.client.restore(body())
            assert caught.value.message == "No."
            await is_free(agent)

        use(work)

    def test_what_the_kernel_says_is_passed_on(self, use):
        async def work(agent):
            with refused(LinkError, "told_so") as caught:
                await agent.client.variables(["error"])
            assert (caught.value.message, caught.value.hint) == ("It was told so.", "Do not.")

        use(work)

    def test_code_that_raises_is_for_the_log_only(self, use, tmp_path):
        async def work(agent):
            async with Cells.of(agent) as cells:
                await cells.reply(cells.run("1"))
                with refused(LinkError, "capture_failed"):
                    await capture(agent, "raise")
                await cells.reply(cells.run("2"))
                assert "nobody may see this" not in str(cells.heard)
            assert "nobody may see this" in (tmp_path / "kernel.log").read_text()

        use(work)

    def test_one_at_a_time(self, use):
        async def work(agent):
            async with aclosing(agent.client.capture(command("capture", "hang", 1))) as stream:
                await anext(stream)
                with refused(Conflict, "state_busy"):
                    await agent.client.variables()
                with refused(Conflict, "state_busy"):
                    await agent.client.restore(chunks(100))
            # The first one is cancelled now, and the next one waits for its end.
            await is_free(agent)

        use(work)

    def test_questions_are_waited_for(self, use, tmp_path):
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)

        async def work(agent):
            first = asyncio.ensure_future(agent.client.variables(["fifo", str(fifo)]))
            with await asyncio.to_thread(fifo.open, "w"):  # the kernel is in that call
                second = asyncio.ensure_future(agent.client.variables(["a"]))
                # Nobody else gets in, however long that is.
                await asyncio.wait({second}, timeout=0.3)
                assert not second.done()
                operation = asyncio.ensure_future(agent.client.restore(chunks(100)))
                await asyncio.wait({operation}, timeout=0.3)
                assert not operation.done()
            assert (await first)["type"] == "variables"
            assert (await operation)["digest"] == digest_of(100)
            # Whether it came before the operation or was refused because of it, is open.
            await asyncio.wait({second})
            await is_free(agent)
            assert isinstance(second.exception(), (type(None), Conflict))

        use(work)

    def test_other_kernels_are_refused(self, use):
        async def work(agent):
            with refused(NotSupported, "kernel_not_supported"):
                await agent.client.variables()
            async with Cells.of(agent) as cells:
                await cells.reply(cells.run("1"))
                with refused(NotSupported, "kernel_not_supported"):
                    await agent.client.restore(chunks(100))

        use(work, [sys.executable, "-c", OTHER, "-f", "{connection_file}"])

    def test_strangers_and_nonsense_are_refused(self, use):
        async def work(agent):
            url = agent.client.endpoint.url + "/api/remote-kernels/state/"
            for method, name in (("POST", "capture"), ("PUT", "restore"), ("POST", "variables")):
                async with StreamedRequest(method, url + name, {}) as request:
                    await request.ask(bytes(MiB))
                    assert request.status == 403
            headers = agent.client._headers
            async with StreamedRequest("GET", url + "capture", headers) as request:
                await request.ask(b"")
                assert request.status == 405
            for body in (b"[", b"[]", b'{"names": 1}', b'{"names": [1]}', b"[" * 100_000):
                async with StreamedRequest("POST", url + "plan", headers) as request:
                    await request.ask(body)
                    assert request.status == 400, body
            agent.client._headers = {"Authorization": "token wrong"}
            with pytest.raises(LinkRefused):
                await agent.client.variables()

        use(work)

    def test_agent_that_is_gone_is_named(self, use):
        async def work(agent):
            stream = agent.client.capture(command("capture", "chunks", 500))
            await anext(stream)
            agent.process.kill()
            with pytest.raises(LinkUnavailable):
                async for _ in stream:
                    pass
            with pytest.raises(LinkUnavailable):
                await agent.client.variables()

        use(work)
