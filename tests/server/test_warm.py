"""Warm kernels over a real server: handed out once, thrown away when dead, gone at the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace

import pytest

from jupyter_remote_kernels.control.launch import LaunchRequest
from jupyter_remote_kernels.control.warm import discard, make_argv
from jupyter_remote_kernels.errors import Conflict, LinkError
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.records import KernelCommand, Mount
from jupyter_remote_kernels.providers.registry import load_provider
from tests.server.processes import labelled_processes


@pytest.fixture
def environments():
    return {
        "python": {"warm": 2, "env": {"FLAVOUR": "warm"}},
        "cold": {"fork": False},
    }


async def until(is_so):
    while not is_so():  # noqa: ASYNC110 - a pool tells nobody about itself
        await asyncio.sleep(0.02)


@pytest.fixture
def pool(plane, jp_asyncio_loop):
    """The pool, once it is full."""
    jp_asyncio_loop.run_until_complete(until(lambda: plane.warm.count("python") == 2))
    return plane.warm._pools["python"]


async def start(api, name="remote-python", **fields):
    reply = await api.fetch("POST", "/api/kernels", json.dumps({"name": name, **fields}).encode())
    assert reply.status == 201, reply
    return reply.body["id"]


async def run(open_browser, kernel_id, code):
    browser = await open_browser(kernel_id)
    return (await browser.execute(code)).text


async def test_kernel_of_a_pool_is_like_a_new_one(
    api, pool, open_browser, plane, jp_root_dir, jp_data_dir
):
    warm = [job.record.id for job in pool._ready]
    (jp_root_dir / "folder").mkdir()
    kernel_id = await start(api, path="folder")
    code = "import os; print(os.getcwd(), os.environ['FLAVOUR'], _dh, sorted(set(dir()) - before))"
    before = "before = {'os', 'before', *dir()}; "
    text = await run(open_browser, kernel_id, before + code)
    folder = str(jp_root_dir / "folder")
    assert text.startswith(f"{folder} warm [PosixPath('{folder}')] []")
    record = plane.find(kernel_id).record
    assert record.job_id in warm
    assert labelled_processes(jp_data_dir, f"jrk-{record.job_id}")
    reply = await api("DELETE", f"/runtimes/{kernel_id}")
    assert reply.status == 200
    assert not labelled_processes(jp_data_dir, f"jrk-{record.job_id}")


async def test_ten_launches_at_once_get_a_kernel_each(api, pool, plane, open_browser):
    """Acceptance: no kernel is handed out twice, and all answer."""
    warm = {job.record.id for job in pool._ready}
    kernels = await asyncio.gather(*(start(api) for _ in range(10)))
    code = "import os; x = os.getpid(); print(x)"
    pids = await asyncio.gather(*(run(open_browser, each, code) for each in kernels))
    assert len(set(pids)) == 10
    jobs = [plane.find(each).record.job_id for each in kernels]
    assert {job for job in jobs if job} >= warm
    assert len({job for job in jobs if job}) == sum(1 for job in jobs if job)
    await until(lambda: pool.size == 2)
    assert len(plane.warm._pools["python"]._ready) == 2


async def test_an_agent_is_claimed_once(api, pool, plane):
    job = pool._ready[0]
    client = job._client
    body = {"runtime_id": "r", "env": {}, "cwd": None, "lease_s": None, "silence_s": 60}
    with pytest.raises(LinkError):
        await plane.run(client.claim({"runtime_id": "r"}))
    await plane.run(client.claim(body))
    with pytest.raises(Conflict) as caught:
        await plane.run(client.claim(body))
    assert caught.value.reason == "claimed_already"
    # So it is of no use to the launch that takes it, which goes on without.
    kernel_id = await start(api)
    await plane.run(plane.find(kernel_id).wait_settled())
    assert plane.find(kernel_id).record.job_id is None


async def test_dead_kernels_are_thrown_away(api, pool, plane, open_browser):
    jobs = list(pool._ready)
    for job in jobs:
        status = await plane.run(job._client._fetch("GET", "/api/remote-kernels/status"))
        os.kill(json.loads(status.body)["kernel_pid"], signal.SIGKILL)
    await until(lambda: not set(jobs) & set(pool._ready) and pool.size == 2)
    assert await run(open_browser, await start(api), "print('alive')") == "alive\n"


async def test_launch_goes_on_when_its_warm_job_does_not_answer(
    api, pool, plane, open_browser, monkeypatch, jp_data_dir
):
    monkeypatch.setattr("jupyter_remote_kernels.control.job._CLAIM_LIMIT_S", 0.3)
    jobs = list(pool._ready)
    for job in jobs:
        os.kill(job.record.checkpoint["pid"], signal.SIGSTOP)
    kernel_id = await start(api)
    assert await run(open_browser, kernel_id, "print('alive')") == "alive\n"
    assert plane.find(kernel_id).record.job_id is None
    assert labelled_processes(jp_data_dir, f"jrk-{kernel_id}")
    for job in jobs:
        if job not in pool._ready:
            assert not labelled_processes(jp_data_dir, job.record.label)
            assert not os.path.exists(job.record.checkpoint["directory"])  # noqa: ASYNC240


@pytest.mark.parametrize("env", [{"PYTHONHASHSEED": "1"}, {"IPYTHONDIR": "/tmp"}])
async def test_what_is_read_at_the_start_needs_a_new_kernel(pool, env):
    request = make_request(pool, env)
    assert not pool.fits(request)
    assert pool.fits(make_request(pool, {"ANYTHING": "else"}))


def make_request(pool, env, **fields):
    command = KernelCommand(argv=make_argv(pool.environment), env=env)
    return LaunchRequest("id", "name", pool.environment, command, Address(), Keys(b""), **fields)


async def test_other_wishes_need_a_new_kernel(pool):
    mount = Mount("data", "~/data")
    assert not pool.fits(make_request(pool, {}, volumes=(mount,)))
    other = replace(make_request(pool, {}), environment=replace(pool.environment, env={}))
    assert not pool.fits(other)


async def test_changed_and_deleted_environments_lose_their_pools(pool, plane, jp_data_dir):
    old = [job.record for job in pool._ready]
    changed = replace(pool.environment, warm=1, env={})
    await plane.run(plane.warm.set_environments([changed]))
    for record in old:
        assert not labelled_processes(jp_data_dir, record.label)
    await until(lambda: plane.warm.count("python") == 1)
    await plane.run(plane.warm.set_environments([]))
    assert not labelled_processes(jp_data_dir)
    assert await plane.services.registry.warm.list() == []


async def test_restart_keeps_directory_and_variables(
    api, pool, plane, open_browser, jp_root_dir, events
):
    (jp_root_dir / "folder").mkdir()
    kernel_id = await start(api, path="folder")
    await plane.run(plane.find(kernel_id).wait_settled())
    reply = await api.fetch("POST", f"/api/kernels/{kernel_id}/restart", b"{}")
    assert reply.status == 200
    text = await run(
        open_browser, kernel_id, "import os; print(os.getcwd(), os.environ['FLAVOUR'])"
    )
    assert text.strip() == f"{jp_root_dir / 'folder'} warm"


async def take(pool):
    """Take one out of the pool; to be run on the control plane's loop, as all of it."""
    return pool.take()


async def test_reservation_begins_with_the_claim(pool, plane):
    record = await plane.run(take(pool))
    changed = record.changed(id="mine", job_id=record.id, lease_s=60.0)
    await plane.run(plane.services.registry.insert(changed))
    endpoint = await plane.run(load_provider("local").endpoint(record.checkpoint))
    client = AgentClient(endpoint, record.id, record.token)
    await asyncio.sleep(0.3)
    body = {"runtime_id": "mine", "env": {}, "cwd": None, "lease_s": 60.0, "silence_s": 60}
    await client.claim(body)
    lease = json.loads((await client._fetch("GET", "/api/remote-kernels/status")).body)["lease"]
    assert lease["lease_s"] == 60
    assert lease["remaining_s"] > 59.8
    client.close()
    await plane.run(discard(record, plane.services))
