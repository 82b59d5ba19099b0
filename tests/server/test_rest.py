"""What REST says and does, against a real server with real kernels."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from jupyter_remote_kernels.jupyter.runtimes import EVENT_SCHEMA
from tests.server.processes import labelled_processes


@pytest.fixture
def environments():
    """A good one, a second one, one that cannot start, one whose provider is missing."""
    return {
        "python": {"display_name": "Python (remote)"},
        "small": {
            "display_name": "Small",
            "resources": {"memory": "2GiB"},
            "env": {"FLAVOUR": "small"},
        },
        "broken": {"display_name": "Broken", "options": {"python": "/nonexistent/python"}},
        "elsewhere": {"display_name": "Elsewhere", "provider": "not-installed"},
        "BAD NAME": {"display_name": "Wrong"},
    }


async def post_kernel(api, **model: Any):
    """Start a kernel by Jupyter's own route."""
    return await api.fetch("POST", "/api/kernels", json.dumps(model).encode())


class TestEnvironments:
    async def test_list_has_the_good_ones(self, api):
        reply = await api("GET", "/environments")
        names = [item["name"] for item in reply.body["environments"]]
        assert names == ["python", "small", "broken", "elsewhere"]

    async def test_one(self, api):
        reply = await api("GET", "/environments/small")
        assert reply.status == 200
        assert reply.body["kernel_name"] == "remote-small"
        assert reply.body["resources"] == {"cpu": None, "memory_bytes": 2 * 2**30, "gpu": None}

    async def test_unknown_one(self, api):
        reply = await api("GET", "/environments/nothing")
        assert (reply.status, reply.reason) == (404, "unknown_environment")
        assert "python" in reply.body["hint"]

    async def test_each_is_a_kernelspec_with_a_logo(self, api):
        specs = (await api.fetch("GET", "/api/kernelspecs")).body["kernelspecs"]
        spec = specs["remote-python"]
        assert spec["spec"]["display_name"] == "Python (remote)"
        logo = await api.fetch("GET", "/kernelspecs/remote-python/logo-svg.svg")
        assert logo.status == 200
        assert b"<svg" in logo.raw


class TestLife:
    async def test_runtime_from_launch_to_end(self, api, launch, open_browser, jp_data_dir):
        runtime_id = await launch(name="My runtime", tag="one")
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert (runtime["name"], runtime["tag"]) == ("My runtime", "one")
        assert (runtime["phase"], runtime["target"]) == ("running", "running")
        assert runtime["reachability"]["state"] == "ok"
        assert runtime["replaying"] is None
        assert runtime["output_held"] is None
        assert runtime["execution_state"] == "idle"
        assert runtime["created_at"] < runtime["started_at"]
        assert runtime["exit"] is None
        browser = await open_browser(runtime_id)
        assert (await browser.execute("print(6 * 7)")).text == "42\n"
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert (runtime["executions"], runtime["connections"]) == (1, 1)
        await browser.close()
        end = await api("DELETE", f"/runtimes/{runtime_id}")
        assert end.status == 200
        assert end.body["statistics"]["executions"] == 1
        assert end.body["statistics"]["age_s"] > 0
        assert end.body["statistics"]["cpu_time_s"] > 0
        assert not labelled_processes(jp_data_dir)
        assert (await api("GET", f"/runtimes/{runtime_id}")).status == 404
        assert (await api("GET", "/runtimes")).body["runtimes"] == []
        assert (await api.fetch("GET", f"/api/kernels/{runtime_id}")).status == 404
        assert (await api("DELETE", f"/runtimes/{runtime_id}")).reason == "unknown_runtime"

    async def test_runtime_is_an_ordinary_kernel(self, api, launch):
        runtime_id = await launch()
        kernel = (await api.fetch("GET", f"/api/kernels/{runtime_id}")).body
        assert kernel["name"] == "remote-python"
        assert kernel["execution_state"] == "idle"
        assert (await api.fetch("DELETE", f"/api/kernels/{runtime_id}")).status == 204
        assert (await api("GET", "/runtimes")).body["runtimes"] == []

    async def test_ordinary_kernel_of_an_environment_is_a_runtime(self, api, open_browser):
        kernel_id = (await post_kernel(api, name="remote-small")).body["id"]
        runtime = (await api("GET", f"/runtimes/{kernel_id}")).body
        assert (runtime["environment"], runtime["name"]) == ("small", "Small")
        browser = await open_browser(kernel_id)
        assert (await browser.execute("import os; print(os.environ['FLAVOUR'])")).text == "small\n"
        assert (await api("DELETE", f"/runtimes/{kernel_id}")).status == 200
        assert (await api.fetch("GET", "/api/kernels")).body == []

    async def test_ordinary_local_kernel_is_no_runtime(self, api):
        kernel_id = (await post_kernel(api, name="echo")).body["id"]
        assert (await api("GET", "/runtimes")).body["runtimes"] == []
        assert (await api("GET", f"/runtimes/{kernel_id}")).status == 404
        assert (await api("DELETE", f"/runtimes/{kernel_id}")).status == 404
        assert (await api.fetch("GET", f"/api/kernels/{kernel_id}")).status == 200

    async def test_session_names_its_notebook(self, api, notebook):
        notebook("work.ipynb")
        model = {
            "path": "work.ipynb",
            "name": "work.ipynb",
            "type": "notebook",
            "kernel": {"name": "remote-python"},
        }
        session = await api.fetch("POST", "/api/sessions", json.dumps(model).encode())
        assert session.status == 201
        runtime_id = session.body["kernel"]["id"]
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert runtime["notebooks"] == [
            {
                "path": "work.ipynb",
                "name": "work.ipynb",
                "type": "notebook",
                "session_id": session.body["id"],
            }
        ]
        await api("DELETE", f"/runtimes/{runtime_id}")
        assert (await api.fetch("GET", "/api/sessions")).body == []

    async def test_session_can_take_a_runtime_that_is_there(self, api, launch):
        runtime_id = await launch()
        model = {
            "path": "a.ipynb",
            "name": "",
            "type": "notebook",
            "kernel": {"id": runtime_id, "name": "remote-python"},
        }
        session = await api.fetch("POST", "/api/sessions", json.dumps(model).encode())
        assert session.body["kernel"]["id"] == runtime_id
        assert len((await api("GET", "/runtimes")).body["runtimes"]) == 1

    async def test_session_changes_to_another_kernel_and_back(self, api, notebook, jp_data_dir):
        notebook("work.ipynb")
        model = {
            "path": "work.ipynb",
            "name": "work.ipynb",
            "type": "notebook",
            "kernel": {"name": "remote-python"},
        }
        session = (await api.fetch("POST", "/api/sessions", json.dumps(model).encode())).body
        route = f"/api/sessions/{session['id']}"
        local = json.dumps({"kernel": {"name": "echo"}}).encode()
        assert (await api.fetch("PATCH", route, local)).body["kernel"]["name"] == "echo"
        assert (await api("GET", "/runtimes")).body["runtimes"] == []
        assert not labelled_processes(jp_data_dir)
        remote = json.dumps({"kernel": {"name": "remote-small"}}).encode()
        changed = (await api.fetch("PATCH", route, remote)).body
        (runtime,) = (await api("GET", "/runtimes")).body["runtimes"]
        assert runtime["id"] == changed["kernel"]["id"]
        assert [item["session_id"] for item in runtime["notebooks"]] == [session["id"]]

    async def test_path_is_the_working_directory(self, api, launch, open_browser, jp_root_dir):
        (jp_root_dir / "deep" / "down").mkdir(parents=True)
        browser = await open_browser(await launch(path="deep/down"))
        outcome = await browser.execute("import os; print(os.getcwd())")
        assert outcome.text.strip() == str(jp_root_dir / "deep" / "down")


class TestClientToken:
    async def test_same_token_and_environment_is_the_same_runtime(self, api):
        body = {"environment": "python", "client_token": "once-only-1"}
        first, second = await asyncio.gather(
            api("POST", "/runtimes", body), api("POST", "/runtimes", body)
        )
        assert first.body["id"] == second.body["id"]
        assert sorted([first.body["created"], second.body["created"]]) == [False, True]
        assert len((await api("GET", "/runtimes")).body["runtimes"]) == 1

    async def test_other_environment_is_a_conflict(self, api):
        await api("POST", "/runtimes", {"environment": "python", "client_token": "abcd"})
        reply = await api("POST", "/runtimes", {"environment": "small", "client_token": "abcd"})
        assert (reply.status, reply.reason) == (409, "client_token_in_use")
        assert len((await api("GET", "/runtimes")).body["runtimes"]) == 1

    async def test_token_is_free_after_the_end(self, api):
        body = {"environment": "python", "client_token": "abcd"}
        first = await api("POST", "/runtimes", body)
        await api("DELETE", f"/runtimes/{first.body['id']}")
        second = await api("POST", "/runtimes", body)
        assert second.body["created"]
        assert second.body["id"] != first.body["id"]


class TestChange:
    async def test_rename_and_tag(self, api, launch, events):
        runtime_id = await launch(name="Old", tag="old")
        reply = await api("PATCH", f"/runtimes/{runtime_id}", {"name": "Neu ü 名 🙂"})
        assert (reply.status, reply.body["name"], reply.body["tag"]) == (200, "Neu ü 名 🙂", "old")
        await events.until(action="renamed", runtime_id=runtime_id)
        reply = await api("PATCH", f"/runtimes/{runtime_id}", {"tag": None})
        assert (reply.body["name"], reply.body["tag"]) == ("Neu ü 名 🙂", None)
        assert (await api("PATCH", f"/runtimes/{runtime_id}", {})).status == 200
        assert (await api("GET", f"/runtimes/{runtime_id}")).body["name"] == "Neu ü 名 🙂"


class TestActions:
    async def test_interrupt(self, api, launch, open_browser):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        cell = await browser.begin("print('on', flush=True)\nwhile True: pass")
        await browser.until(lambda m: m["msg_type"] == "stream")
        assert (await api("GET", f"/runtimes/{runtime_id}")).body["execution_state"] == "busy"
        assert (await api("POST", f"/runtimes/{runtime_id}/interrupt")).status == 204
        assert (await browser.finish(cell)).reply["ename"] == "KeyboardInterrupt"

    async def test_restart_is_an_operation(self, api, launch, open_browser, events):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("x = 1")
        before = (await api("GET", f"/runtimes/{runtime_id}")).body
        reply = await api("POST", f"/runtimes/{runtime_id}/restart", {})
        assert reply.status == 202
        assert (reply.body["kind"], reply.body["state"]) == ("restart", "running")
        operation = reply.body["id"]
        await events.until(operation_id=operation, operation_state="succeeded")
        assert (await api("DELETE", f"/operations/{operation}")).reason == "operation_over"
        outcome = await browser.execute("print('x' in dir())")
        assert outcome.text == "False\n"
        after = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert after["created_at"] == before["created_at"]
        assert after["started_at"] == before["started_at"]
        assert (await api("GET", f"/runtimes/{runtime_id}")).body["phase"] == "running"

    async def test_running_restart_cannot_be_cancelled(self, api, launch):
        runtime_id = await launch()
        operation = (await api("POST", f"/runtimes/{runtime_id}/restart")).body["id"]
        reply = await api("DELETE", f"/operations/{operation}")
        assert (reply.status, reply.reason) == (409, "not_cancellable")

    async def test_logs_are_paged(self, api, launch, open_browser):
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        await browser.execute("import os; os.write(1, b'from below\\n' * 3); None")
        whole = (await api("GET", f"/runtimes/{runtime_id}/logs")).body
        assert whole["complete"]
        # ipykernel also shows what is written to its descriptors as output; both are fine.
        assert whole["size_bytes"] == len(whole["text"].encode())
        text, offset = "", 0
        while offset < whole["size_bytes"]:
            page = await api(
                "GET", f"/runtimes/{runtime_id}/logs", query=f"?offset={offset}&limit=7"
            )
            assert page.body["offset"] == offset
            assert len(page.body["text"]) <= 7
            text, offset = text + page.body["text"], page.body["next_offset"]
        assert text == whole["text"]
        beyond = (await api("GET", f"/runtimes/{runtime_id}/logs", query="?offset=999999999")).body
        assert (beyond["text"], beyond["complete"]) == ("", True)


class TestOperations:
    async def test_launch_runs_then_succeeds(self, api, events):
        reply = await api("POST", "/runtimes", {"environment": "python"})
        assert reply.body["created"]
        assert reply.body["execution_state"] == "starting"
        operation = reply.body["operation"]
        found = (await api("GET", f"/operations/{operation}")).body
        assert (found["kind"], found["state"]) == ("launch", "running")
        assert found["step"]
        await events.until(operation_id=operation, operation_state="succeeded")
        found = (await api("GET", f"/operations/{operation}")).body
        assert (found["state"], found["step"], found["error"]) == ("succeeded", None, None)
        assert found["finished_at"] > found["created_at"]
        listed = (await api("GET", "/operations")).body["operations"]
        assert [item["id"] for item in listed] == [operation]

    async def test_failed_launch_has_a_typed_error(self, api, events):
        reply = await api("POST", "/runtimes", {"environment": "broken"})
        assert reply.status == 202
        operation = reply.body["operation"]
        await events.until(operation_id=operation, operation_state="failed")
        error = (await api("GET", f"/operations/{operation}")).body["error"]
        assert error["reason"] == "start_failed"
        assert "/nonexistent/python" in error["detail"]
        assert error["hint"]
        assert error["status"] == 502
        runtime = (await api("GET", f"/runtimes/{reply.body['id']}")).body
        assert (runtime["phase"], runtime["exit"]["reason"]) == ("failed", "start_failed")
        assert (await api("DELETE", f"/runtimes/{reply.body['id']}")).status == 200
        assert (await api("GET", "/runtimes")).body["runtimes"] == []

    async def test_provider_that_is_missing(self, api):
        reply = await api("POST", "/runtimes", {"environment": "elsewhere"})
        assert (reply.status, reply.reason) == (404, "unknown_provider")
        assert (await api("GET", "/runtimes")).body["runtimes"] == []
        assert (await api.fetch("GET", "/api/kernels")).body == []


class TestEvents:
    async def test_phases_are_told_in_order(self, launch, events):
        runtime_id = await launch()
        phases = [e["phase"] for e in events.seen if e["action"] == "phase"]
        assert phases == ["starting", "running"]
        assert {e["runtime_id"] for e in events.seen} == {runtime_id}

    async def test_they_reach_jupyters_websocket(self, api, jp_ws_fetch, launch):
        socket = await jp_ws_fetch("api", "events", "subscribe")
        runtime_id = await launch()
        phases = []
        while phases[-1:] != ["running"]:
            event = json.loads(await socket.read_message())
            if event["schema_id"] == EVENT_SCHEMA and event["action"] == "phase":
                assert event["runtime_id"] == runtime_id
                phases.append(event["phase"])
        socket.close()
