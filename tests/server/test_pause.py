"""Pause and resume over REST, with a real kernel behind a real server."""

from __future__ import annotations

import asyncio
import time

import pytest

from jupyter_remote_kernels.control.driver import RuntimeDriver
from jupyter_remote_kernels.errors import StoreFull
from jupyter_remote_kernels.snapshots.file_store import FileStore
from tests.server.processes import labelled_processes

pytestmark = pytest.mark.timeout(120)


async def until_gone(data_dir):
    """Wait until no process of a runtime is left; nobody tells when that is."""
    while labelled_processes(data_dir):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@pytest.fixture
def follow(api, events):
    """Follow an operation to its end; returns it."""

    async def until_over(reply):
        assert reply.status == 202, reply
        operation = reply.body
        while operation["state"] == "running":
            await events.until(action="operation", operation_id=operation["id"])
            operation = (await api("GET", f"/operations/{operation['id']}")).body
        return operation

    return until_over


@pytest.fixture
def pause(api, follow, jp_data_dir):
    """Pause a runtime and see that nothing of it is left; returns what was told."""

    async def paused(runtime_id):
        operation = await follow(await api("POST", f"/runtimes/{runtime_id}/pause", {}))
        assert operation["error"] is None, operation["error"]
        await until_gone(jp_data_dir)
        return operation["result"]

    return paused


@pytest.fixture
def resume(api, follow):
    async def resumed(runtime_id):
        operation = await follow(await api("POST", f"/runtimes/{runtime_id}/resume", {}))
        assert operation["error"] is None, operation["error"]
        return operation["result"]

    return resumed


@pytest.fixture
def phase(api):
    async def read(runtime_id):
        return (await api("GET", f"/runtimes/{runtime_id}")).body["phase"]

    return read


QUESTIONS = {
    "kernel_info_request": {},
    "history_request": {"hist_access_type": "tail", "n": 1, "output": False, "raw": True},
    "comm_info_request": {},
    "complete_request": {"code": "x.", "cursor_pos": 2},
    "inspect_request": {"code": "x", "cursor_pos": 1, "detail_level": 0},
    "is_complete_request": {"code": "x"},
}


class TestPause:
    async def test_the_next_cell_resumes_it_with_everything_there(
        self, api, launch, pause, open_browser, events, phase
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 42\ndef double(n): return n * 2\nfile = open('/dev/null')")
        saved = await pause(runtime_id)
        assert saved["carried"] >= 2
        assert [item["name"] for item in saved["not_carried"]] == ["file"]
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert (runtime["phase"], runtime["target"]) == ("paused", "paused")
        assert runtime["snapshot_id"] == saved["snapshot_id"]
        assert runtime["snapshot_bytes"] == saved["size_bytes"]
        model = (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body
        assert (model["id"], model["execution_state"]) == (runtime_id, "idle")

        outcome = await browser.execute("print(double(x))")
        assert outcome.text == "84\n"
        assert outcome.reply["execution_count"] == 2
        assert await phase(runtime_id) == "running"
        assert (await browser.execute("x += 1; print(x)")).text == "43\n"
        # And once more, from what it has become.
        await pause(runtime_id)
        assert (await browser.execute("print(x)")).text == "43\n"

    async def test_nothing_but_a_cell_wakes_it(self, launch, pause, open_browser, phase):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await pause(runtime_id)
        for question, content in QUESTIONS.items():
            assert (await browser.ask(question, content))["status"] in ("ok", "unknown")
        reloaded = await open_browser(runtime_id)
        await reloaded.ask("kernel_info_request")
        silent = await browser.execute("1", silent=True, store_history=False)
        assert silent.reply["status"] == "error"
        assert await phase(runtime_id) == "paused"

    async def test_resumed_over_rest(self, launch, pause, resume, open_browser, phase):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = [1, 2]")
        await pause(runtime_id)
        told = await resume(runtime_id)
        assert "x" in told["restored"]
        assert told["lost"] == []
        assert await phase(runtime_id) == "running"
        assert (await browser.execute("print(x)")).text == "[1, 2]\n"

    async def test_running_cells_are_waited_for_and_later_ones_held(
        self, api, launch, follow, open_browser, events
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        first = await browser.begin("import time; time.sleep(1.5); x = 1; print('done')")
        await browser.until(lambda m: m["msg_type"] == "execute_input")
        reply = await api("POST", f"/runtimes/{runtime_id}/pause", {})
        await events.until(action="phase", phase="pausing")
        later = await browser.begin("print(x + 1)")
        assert (await follow(reply))["state"] == "succeeded"
        assert (await browser.finish(first)).text == "done\n"
        # Somebody had asked for it while the state was saved, so it is back at once.
        assert (await browser.finish(later)).text == "2\n"

    async def test_called_off(self, api, launch, open_browser, events, phase):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        cell = await browser.begin("import time; time.sleep(3); print('done')")
        await browser.until(lambda m: m["msg_type"] == "execute_input")
        operation = (await api("POST", f"/runtimes/{runtime_id}/pause", {})).body
        await events.until(action="phase", phase="pausing")
        later = await browser.begin("print('later')")
        cancelled = await api("DELETE", f"/operations/{operation['id']}")
        assert cancelled.body["state"] == "cancelled"
        assert await phase(runtime_id) == "running"
        assert (await browser.finish(cell)).text == "done\n"
        assert (await browser.finish(later)).text == "later\n"

    async def test_interrupt_aborts_what_is_held_for_a_resume(
        self, api, launch, pause, open_browser, events
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        await pause(runtime_id)
        cell = await browser.begin("print(x)")
        await events.until(action="phase", phase="resuming")
        assert (await api("POST", f"/runtimes/{runtime_id}/interrupt", {})).status == 204
        assert (await browser.finish(cell)).reply["status"] == "aborted"
        await events.until(action="phase", phase="running")
        assert (await browser.execute("print(x)")).text == "1\n"

    async def test_a_resume_called_off_is_a_pause_as_before(
        self, api, launch, pause, open_browser, events, phase, jp_data_dir
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        await pause(runtime_id)
        operation = (await api("POST", f"/runtimes/{runtime_id}/resume", {})).body
        await events.until(action="phase", phase="resuming")
        cell = await browser.begin("print('never')")
        cancelled = await api("DELETE", f"/operations/{operation['id']}")
        assert cancelled.body["state"] == "cancelled"
        assert await phase(runtime_id) == "paused"
        # What waited for it does not wake it again at once.
        assert "paused" in (await browser.finish(cell)).reply["evalue"]
        await until_gone(jp_data_dir)
        assert await phase(runtime_id) == "paused"
        assert (await browser.execute("print(x)")).text == "1\n"

    async def test_terminated_while_it_is_paused(self, api, launch, pause):
        runtime_id = await launch()
        await pause(runtime_id)
        assert (await api("DELETE", f"/runtimes/{runtime_id}")).status == 200
        assert (await api("GET", f"/runtimes/{runtime_id}")).status == 404
        assert (await api.fetch("GET", "/api/kernels")).body == []

    async def test_restarted_while_it_is_paused_begins_with_nothing(
        self, api, launch, pause, follow, open_browser
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        await pause(runtime_id)
        operation = await follow(await api("POST", f"/runtimes/{runtime_id}/restart", {}))
        assert operation["error"] is None
        assert (await browser.execute("print(x)")).reply["ename"] == "NameError"

    async def test_variables_say_what_can_be_carried(self, api, launch, open_browser):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 42\nfile = open('/dev/null')")
        found = (await api("GET", f"/runtimes/{runtime_id}/variables")).body["variables"]
        by_name = {item["name"]: item for item in found}
        assert by_name["x"]["status"] == "carried"
        assert by_name["x"]["preview"] == "42"
        assert by_name["file"]["status"] == "refused"
        assert by_name["file"]["reason"]


class TestFailures:
    async def test_a_state_that_cannot_be_written_leaves_the_kernel_running(
        self, api, launch, follow, open_browser, monkeypatch, phase
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 42")

        async def refuse(self, name, content):
            raise StoreFull("there is no room left", hint="Make some.")

        with monkeypatch.context() as patch:
            patch.setattr(FileStore, "put_document", refuse)
            operation = await follow(await api("POST", f"/runtimes/{runtime_id}/pause", {}))
        assert operation["state"] == "failed"
        assert operation["error"]["reason"] == "store_full"
        assert await phase(runtime_id) == "running"
        assert (await browser.execute("print(x)")).text == "42\n"

    async def test_a_snapshot_that_is_damaged_is_told_and_stays_paused(
        self, api, launch, pause, follow, open_browser, jp_data_dir, phase, events
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = list(range(1000))")
        await pause(runtime_id)
        (document,) = (jp_data_dir / "remote_kernels" / "snapshots").rglob("*.json")
        whole = document.read_bytes()
        document.write_bytes(whole.replace(b'"name"', b'"nane"', 1))
        operation = await follow(await api("POST", f"/runtimes/{runtime_id}/resume", {}))
        assert operation["error"]["reason"] == "snapshot_damaged"
        outcome = await browser.execute("print(len(x))")
        assert "snapshot" in outcome.reply["evalue"]
        assert await phase(runtime_id) == "paused"
        document.write_bytes(whole)
        assert (await browser.execute("print(len(x))")).text == "1000\n"
        # Each was tried once: by the request, by the first cell, and by the second.
        tries = [event for event in events.seen if event["action"] == "phase"]
        assert [event["phase"] for event in tries].count("resuming") == 3

    async def test_a_cell_that_comes_right_after_a_failure_is_tried_anew(
        self, launch, pause, open_browser, jp_data_dir, phase, monkeypatch
    ):
        rejected = []
        reject = RuntimeDriver.reject_held

        def reject_and_repeat(driver):
            stand_in = driver.bridge.stand_in
            requests = [*stand_in._held]
            reject(driver)
            document.write_bytes(whole)
            for request in requests:
                # Before anything that waits for the end of the attempt hears of it.
                asyncio.get_running_loop().call_soon(stand_in.handle, request)
                rejected.append(request.msg_id)

        monkeypatch.setattr(RuntimeDriver, "reject_held", reject_and_repeat)
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = list(range(1000))")
        await pause(runtime_id)
        (document,) = (jp_data_dir / "remote_kernels" / "snapshots").rglob("*.json")
        whole = document.read_bytes()
        document.write_bytes(whole.replace(b'"name"', b'"nane"', 1))
        cell = await browser.begin("print(len(x))")
        await browser.until(lambda message: message["msg_type"] == "error")
        await browser.until(lambda message: message["content"].get("text") == "1000\n")
        assert rejected == [cell]
        assert await phase(runtime_id) == "running"

    async def test_a_runtime_without_a_kernel_cannot_be_paused(self, api, launch, events):
        runtime_id = await launch()
        await api("DELETE", f"/runtimes/{runtime_id}")
        assert (await api("POST", f"/runtimes/{runtime_id}/pause", {})).reason == "unknown_runtime"


class TestWithoutAutomaticResume:
    @pytest.fixture
    def server_settings(self):
        return {"RemoteKernels": {"auto_resume": False}}

    async def test_a_cell_gets_a_clear_error(self, launch, pause, resume, open_browser, phase):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        await pause(runtime_id)
        outcome = await browser.execute("print(x)")
        assert "paused" in outcome.reply["evalue"]
        assert await phase(runtime_id) == "paused"
        await resume(runtime_id)
        assert (await browser.execute("print(x)")).text == "1\n"


class TestIdlePause:
    @pytest.fixture
    def environments(self):
        return {"python": {"display_name": "Python", "provider": "local", "idle_pause_s": 1}}

    @pytest.fixture
    def server_settings(self):
        return {
            "MappingKernelManager": {
                "cull_idle_timeout": 1,
                "cull_interval": 1,
                "cull_connected": True,
            }
        }

    async def test_paused_instead_of_culled(
        self, launch, resume, events, open_browser, jp_serverapp
    ):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        await events.until(action="phase", phase="paused")
        manager = jp_serverapp.kernel_manager
        # Long idle by anybody's count; the culler looks at it and leaves it alone.
        activity = manager.get_runtime(runtime_id).bridge.activity
        activity.last_s -= 3600
        await manager.cull_kernel_if_idle(runtime_id)
        before_s = time.time()
        await resume(runtime_id)
        assert activity.last_s >= before_s  # or it would be paused again at once
        assert (await browser.execute("print(x)")).text == "1\n"
