"""Limits, credits and the ledger over REST: what is refused, what is charged, what adds up."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.model.credits import charge
from tests.server.processes import labelled_processes

GIB = 2**30


@pytest.fixture
def environments():
    return {
        "python": {},
        "paid": {"credits_per_hour": 3600, "default_lease_s": 60},
        "small": {
            "resources": {"cpu": 1, "memory": "512MiB", "gpu": 0},
            "max_resources": {"cpu": 2, "memory": "1GiB"},
        },
    }


class TestLimitsOfAnEnvironment:
    @pytest.mark.parametrize(
        "asked, name, allowed",
        [
            ({"cpu": 2.5}, "cpu", 2),
            ({"memory": "2GiB"}, "memory", GIB),
            ({"memory_bytes": GIB + 1}, "memory", GIB),
            ({"gpu": 1}, "gpu", 0),
        ],
    )
    async def test_more_than_it_allows(self, api, asked, name, allowed, jp_data_dir):
        reply = await api("POST", "/runtimes", {"environment": "small", "resources": asked})
        assert (reply.status, reply.reason) == (406, "limit_exceeded")
        limit = reply.body["limit"]
        assert (limit["name"], limit["scope"], limit["allowed"]) == (name, "environment", allowed)
        assert limit["asked"] > allowed
        assert (await api("GET", "/runtimes")).body["runtimes"] == []
        assert not labelled_processes(jp_data_dir)

    async def test_what_it_allows_is_given(self, api, launch):
        runtime_id = await launch("small", resources={"memory": "1GiB", "cpu": 0.5})
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert runtime["resources"] == {"cpu": 0.5, "memory_bytes": GIB, "gpu": 0}
        assert runtime["usage"]["memory_limit_bytes"] == GIB


class TestLimitsOfAUser:
    @pytest.fixture
    def server_settings(self):
        limits = {"runtimes": 2, "cpu": 2, "memory": "1GiB", "gpu": 0}
        return {"RemoteKernels": {"user_limits": limits}}

    async def test_sum_of_all(self, api, launch, jp_data_dir):
        first = await launch("small", resources={"cpu": 1})
        before = labelled_processes(jp_data_dir)
        reply = await api(
            *("POST", "/runtimes"), {"environment": "small", "resources": {"cpu": 1.5}}
        )
        assert reply.status == 406
        assert reply.body["limit"] == {
            "name": "cpu",
            "scope": "user",
            "asked": 1.5,
            "allowed": 2,
            "used": 1,
        }
        reply = await api(
            *("POST", "/runtimes"), {"environment": "small", "resources": {"memory": "600MiB"}}
        )
        assert reply.body["limit"]["name"] == "memory"
        # The one that names no amount of it could use all there is.
        reply = await api("POST", "/runtimes", {"environment": "python"})
        assert (reply.status, reply.body["limit"]["scope"]) == (406, "user")
        assert labelled_processes(jp_data_dir) == before
        second = await launch("small", resources={"cpu": 1})
        reply = await api("POST", "/runtimes", {"environment": "small"})
        assert reply.body["limit"]["name"] == "runtimes"
        assert reply.body["limit"]["used"] == 2
        for runtime_id in (first, second):
            assert (await api("DELETE", f"/runtimes/{runtime_id}")).status == 200
        await launch("small", resources={"cpu": 2})

    async def test_also_through_jupyters_own_routes(self, api, launch, jp_data_dir):
        for _ in range(2):
            await launch("small")
        before = labelled_processes(jp_data_dir)
        reply = await api.fetch("POST", "/api/kernels", b'{"name": "remote-small"}')
        assert reply.status == 406
        assert "2 are in use" in reply.body["message"]
        body = b'{"path": "a.ipynb", "type": "notebook", "kernel": {"name": "remote-small"}}'
        # Jupyter's route for sessions makes a 500 of every failed start, with its text.
        reply = await api.fetch("POST", "/api/sessions", body)
        assert reply.status == 500
        assert "2 are in use" in reply.body["message"]
        assert len((await api.fetch("GET", "/api/kernels")).body) == 2
        assert labelled_processes(jp_data_dir) == before

    async def test_many_at_once_do_not_pass_it_together(self, api):
        replies = await asyncio.gather(
            *(api("POST", "/runtimes", {"environment": "small"}) for _ in range(6))
        )
        assert sorted(reply.status for reply in replies) == [202, 202, 406, 406, 406, 406]


class TestBudget:
    @pytest.fixture
    def server_settings(self):
        return {"RemoteKernels": {"credits_budget": 100.0, "credits_period": "total"}}

    async def test_launch_reserves_and_the_rest_is_left(self, api, launch):
        usage = (await api("GET", "/usage")).body
        assert (usage["budget"], usage["used"], usage["left"]) == (100, 0, 100)
        runtime_id = await launch("paid")
        usage = (await api("GET", "/usage")).body
        assert usage["used"] + usage["reserved"] == pytest.approx(60, abs=5)
        assert usage["left"] == pytest.approx(40, abs=8)
        reply = await api("POST", "/runtimes", {"environment": "paid", "lease_s": 50})
        assert (reply.status, reply.body["limit"]["name"]) == (406, "credits")
        # Who names no time gets as much as can be paid for.
        second = (await api("GET", f"/runtimes/{await launch('paid')}")).body
        assert second["lease_s"] == pytest.approx(40, abs=8)
        reply = await api("POST", "/runtimes", {"environment": "paid"})
        assert (reply.status, reply.body["limit"]["scope"]) == (406, "user")
        reply = await api("PATCH", f"/runtimes/{runtime_id}", {"lease_s": 90})
        assert (reply.status, reply.body["limit"]["name"]) == (406, "credits")
        await launch("python")  # what costs nothing needs nothing
        assert (await api("DELETE", f"/runtimes/{runtime_id}")).status == 200
        assert (await api("GET", "/usage")).body["left"] > 40

    async def test_estimates(self, api, launch):
        estimate = (await api("POST", "/estimates", {"environment": "paid", "lease_s": 30})).body
        assert (estimate["credits"], estimate["lease_s"], estimate["problem"]) == (30, 30, None)
        estimate = (await api("POST", "/estimates", {"environment": "paid", "lease_s": 101})).body
        assert estimate["problem"]["limit"]["name"] == "credits"
        estimate = (await api("POST", "/estimates", {"environment": "python"})).body
        assert (estimate["credits"], estimate["lease_s"]) == (0, None)
        assert (await api("GET", "/runtimes")).body["runtimes"] == []


class TestLedger:
    async def test_adds_up_over_restart_and_extension(self, api, launch, events):
        runtime_id = await launch("paid", name="costly")
        await api("POST", f"/runtimes/{runtime_id}/restart")
        await events.until(action="operation", operation_state="succeeded")
        await api("PATCH", f"/runtimes/{runtime_id}", {"lease_s": 120})
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert 0 < runtime["credits"] < 60
        final = (await api("DELETE", f"/runtimes/{runtime_id}")).body["statistics"]
        usage = (await api("GET", "/usage")).body
        (entry,) = usage["runtimes"]
        assert (entry["runtime_id"], entry["name"]) == (runtime_id, "costly")
        assert (entry["living"], entry["paused_seconds"]) == (False, 0)
        assert entry["seconds"] == pytest.approx(final["age_s"], abs=3)
        assert entry["credits"] == final["credits"] == charge(3600, entry["seconds"])
        assert usage["used"] == entry["credits"]
        assert sum(day["credits"] for day in usage["days"]) == pytest.approx(entry["credits"])
        assert final["memory_max_bytes"] > 10 * 2**20

    async def test_end_of_a_reservation_is_the_end_of_the_charge(self, api, launch, events):
        runtime_id = await launch("paid", lease_s=2)
        await events.until(runtime_id=runtime_id, phase="failed")
        (entry,) = (await api("GET", "/usage")).body["runtimes"]
        assert not entry["living"]
        assert entry["seconds"] == pytest.approx(2, abs=1.5)
        # A new reservation is a new entry of the same runtime.
        await api("POST", f"/runtimes/{runtime_id}/restart")
        await events.until(action="phase", runtime_id=runtime_id, phase="running")
        (entry,) = (await api("GET", "/usage")).body["runtimes"]
        assert entry["living"]


class TestClientToken:
    async def test_twenty_at_once_make_one(self, api):
        body = {"environment": "python", "client_token": "one-of-twenty"}
        replies = await asyncio.gather(*(api("POST", "/runtimes", body) for _ in range(20)))
        assert {reply.status for reply in replies} == {202}
        assert len({reply.body["id"] for reply in replies}) == 1
        assert [reply.body["created"] for reply in replies].count(True) == 1
        reply = await api("POST", "/runtimes", {**body, "environment": "small"})
        assert (reply.status, reply.reason) == (409, "client_token_in_use")
        assert (await api("DELETE", f"/runtimes/{replies[0].body['id']}")).status == 200
        reply = await api("POST", "/runtimes", {**body, "environment": "small"})
        assert (reply.status, reply.body["created"]) == (202, True)


class TestVariables:
    @pytest.fixture
    def environments(self):
        return {"python": {"env_allowed": ["HF_*", "EXACT"]}, "closed": {}}

    async def test_allowed_ones_reach_the_kernel_and_no_log(self, launch, open_browser, caplog):
        runtime_id = await launch(env={"HF_TOKEN": "very-secret-value", "EXACT": "1"})
        browser = await open_browser(runtime_id)
        code = "import os; print(os.environ['HF_TOKEN'][5:11], os.environ['EXACT'])"
        assert (await browser.execute(code)).text == "secret 1\n"
        assert "very-secret-value" not in caplog.text

    async def test_others_are_refused(self, api):
        for environment, name in (("python", "LD_PRELOAD"), ("closed", "HF_TOKEN")):
            body = {"environment": environment, "env": {name: "x"}}
            reply = await api("POST", "/runtimes", body)
            assert (reply.status, reply.reason) == (400, "env_not_allowed")
        for env in ({"A B": "x"}, {"HF_X": 1}, {"HF_X": "a\0b"}, []):
            reply = await api("POST", "/runtimes", {"environment": "python", "env": env})
            assert reply.status == 400
        assert (await api("GET", "/runtimes")).body["runtimes"] == []
