"""What can happen to a kernel: culled, dead, out of memory, named by its client."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid

import pytest

from tests.server.processes import labelled_processes

MORTAL = """
import os, runpy, sys
if os.path.exists({!r}):
    sys.exit(1)
sys.argv = ["ipykernel_launcher", "-f", sys.argv[1]]
runpy.run_module("ipykernel_launcher", run_name="__main__")
"""


async def until_exit(api, events, runtime_id):
    """Wait until a runtime says why its kernel has ended."""
    while True:
        cause = (await api("GET", f"/runtimes/{runtime_id}")).body["exit"]
        if cause is not None:
            return cause
        await events.until(runtime_id=runtime_id)


class TestCulling:
    @pytest.fixture
    def server_settings(self):
        settings = {"cull_idle_timeout": 1, "cull_interval": 1, "cull_connected": True}
        return {"MappingKernelManager": settings}

    async def test_idle_runtime_is_culled_and_a_busy_one_is_not(
        self, api, launch, events, open_browser, jp_data_dir
    ):
        busy = await launch()
        browser = await open_browser(busy)
        await browser.begin("print('on', flush=True)\nwhile True: pass")
        await browser.until(lambda m: m["msg_type"] == "stream")
        idle = await launch()
        await events.until(runtime_id=idle, phase="stopped")
        listed = (await api("GET", "/runtimes")).body["runtimes"]
        assert [item["id"] for item in listed] == [busy]
        assert not labelled_processes(jp_data_dir, f"jrk-{idle}")


class TestDeath:
    @pytest.fixture
    def environments(self, tmp_path):
        mortal = MORTAL.format(str(tmp_path / "poison"))
        return {
            "mortal": {"argv": [sys.executable, "-c", mortal, "{connection_file}"]},
            "python": {},
            "small": {"resources": {"memory": "300MiB"}},
            "hopeless": {"argv": ["/bin/false", "{connection_file}"]},
        }

    @pytest.fixture
    def server_settings(self):
        return {"KernelRestarter": {"time_to_dead": 0.5}}

    async def test_dead_kernel_restarts_by_itself(self, api, launch, open_browser):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        await browser.begin("import os; os._exit(3)")
        # Jupyter's own word for it, which Lab shows as a dialog.
        await browser.until(lambda m: m["content"].get("execution_state") == "restarting")
        outcome = await browser.execute("print('x' in dir())")
        assert outcome.text == "False\n"
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert (runtime["phase"], runtime["execution_state"]) == ("running", "idle")
        assert runtime["exit"] is None

    async def test_cause_of_a_death_is_told(self, api, launch, events, open_browser):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.begin("import os; os._exit(3)")
        cause = await until_exit(api, events, runtime_id)
        assert (cause["reason"], cause["code"]) == ("exited", 3)
        kernel = (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body
        assert kernel["reason"] == "the kernel ended by itself with exit code 3"

    async def test_out_of_memory_names_its_cause(self, api, launch, events, open_browser):
        runtime_id = await launch("small")
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert runtime["resources"]["memory_bytes"] == 300 * 2**20
        assert runtime["usage"]["memory_limit_bytes"] == 300 * 2**20
        browser = await open_browser(runtime_id)
        cell = await browser.begin("big = b'x' * (700 * 2**20)")
        # A control group lets the system end the kernel; without one, Python itself refuses.
        refused = asyncio.create_task(browser.finish(cell))
        killed = asyncio.create_task(until_exit(api, events, runtime_id))
        await asyncio.wait([refused, killed], return_when=asyncio.FIRST_COMPLETED)
        for task in (refused, killed):
            task.cancel()
        if killed.done() and not killed.cancelled():
            cause = killed.result()
            assert cause["reason"] == "out_of_memory"
            assert "memory limit of 300 MiB" in cause["message"]
            assert cause["hint"]
        else:
            assert refused.result().reply["ename"] == "MemoryError"

    async def test_kernel_that_never_came_up_stays_with_its_reason(
        self, api, events, jp_serverapp, jp_data_dir
    ):
        reply = await api("POST", "/runtimes", {"environment": "hopeless"})
        runtime_id = reply.body["id"]
        cause = await until_exit(api, events, runtime_id)
        assert cause["reason"] == "exited"
        # The restarter looks again and again, and leaves it alone.
        restarter = jp_serverapp.kernel_manager.get_kernel(runtime_id)._restarter
        for _ in range(3):
            await restarter.poll()
        assert (await api("GET", f"/runtimes/{runtime_id}")).body["exit"] == cause
        kernel = (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body
        assert (kernel["execution_state"], kernel["reason"]) == ("dead", cause["message"])
        assert (await api("DELETE", f"/runtimes/{runtime_id}")).status == 200
        assert not labelled_processes(jp_data_dir)

    async def test_kernel_that_dies_again_and_again_is_given_up_with_its_job(
        self, api, launch, events, tmp_path, jp_data_dir, open_browser
    ):
        runtime_id = await launch("mortal")
        # From now on it dies before it answers.
        (tmp_path / "poison").touch()
        browser = await open_browser(runtime_id)
        await browser.begin("import os; os._exit(1)")
        await events.until(runtime_id=runtime_id, phase="stopped")
        assert not labelled_processes(jp_data_dir)
        assert (await api.fetch("GET", "/api/kernels")).body == []


class TestShutdown:
    async def test_server_may_stop_while_a_kernel_restarts(self, launch, jp_serverapp, jp_data_dir):
        runtime_id = await launch()
        manager = jp_serverapp.kernel_manager
        restart = asyncio.create_task(manager.restart_kernel(runtime_id))
        await asyncio.sleep(0)  # until the restart has begun
        assert manager.get_kernel(runtime_id).restarting.locked()
        await manager.shutdown_all()
        await asyncio.wait({restart})
        assert manager.list_kernel_ids() == []
        assert not labelled_processes(jp_data_dir)


class TestKernelId:
    async def test_client_may_choose_it(self, api, open_browser):
        kernel_id = str(uuid.uuid4())
        body = json.dumps({"name": "remote-python", "kernel_id": kernel_id}).encode()
        reply = await api.fetch("POST", "/api/kernels", body)
        assert (reply.status, reply.body["id"]) == (201, kernel_id)
        assert (await api("GET", f"/runtimes/{kernel_id}")).body["id"] == kernel_id
        browser = await open_browser(kernel_id)
        assert (await browser.execute("print(1)")).text == "1\n"

    async def test_same_id_again_after_the_end(self, api, open_browser):
        kernel_id = str(uuid.uuid4())
        body = json.dumps({"name": "remote-python", "kernel_id": kernel_id}).encode()
        for number in range(2):
            assert (await api.fetch("POST", "/api/kernels", body)).status == 201
            browser = await open_browser(kernel_id)
            assert (await browser.execute("y = 1\nprint(dir().count('x'))\nx = 1")).text == "0\n"
            await browser.close()
            assert (await api.fetch("DELETE", f"/api/kernels/{kernel_id}")).status == 204, number
