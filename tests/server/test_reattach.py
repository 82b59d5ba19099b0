"""A server lets its runtimes go and takes them back: here one server does both.

Servers that really end, or are killed, are in ``tests/faults/test_killed_server.py``.
"""

from __future__ import annotations

import json
from contextlib import closing
from types import SimpleNamespace

import pytest

from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.jupyter.session_manager import identify_server
from jupyter_remote_kernels.model.phases import Phase
from tests.server.processes import labelled_processes


@pytest.fixture
def session(api, events, notebook):
    """Open a notebook with a kernel over Jupyter's own route."""

    async def post(path="one.ipynb"):
        notebook(path, "1 + 1")
        kernel = {"name": "remote-python"}
        body = {"path": path, "name": path, "type": "notebook", "kernel": kernel}
        reply = await api.fetch("POST", "/api/sessions", json.dumps(body).encode())
        assert reply.status == 201, reply.body
        await events.until(action="phase", phase="running", runtime_id=reply.body["kernel"]["id"])
        return reply.body

    return post


@pytest.fixture
def let_go(jp_serverapp):
    return jp_serverapp.kernel_manager.detach_runtimes


@pytest.fixture
def take_back(jp_serverapp, plane):
    """Take back what was let go; returns how many."""

    def call():
        # The loop stands still meanwhile, as it does at a server's start.
        records = plane.submit(plane.take_over(identify_server(jp_serverapp))).result(20)
        return jp_serverapp.kernel_manager.attach_runtimes(plane, records)

    return call


def read_records(plane):
    with closing(Registry(plane.state_directory / "registry.sqlite3")) as registry:
        return registry.list()


async def test_kernel_and_session_are_the_same(
    api, session, let_go, take_back, open_browser, plane, jp_data_dir
):
    opened = await session()
    kernel_id = opened["kernel"]["id"]
    await (await open_browser(kernel_id)).execute("x = 42")
    processes = labelled_processes(jp_data_dir)
    assert await let_go() == 1
    (record,) = read_records(plane)
    assert (record.phase, record.owner) == (Phase.RUNNING, None)
    assert (await api.fetch("GET", "/api/kernels")).body == []
    # Who still asks while the server ends gets no session, and costs none.
    assert (await api.fetch("GET", "/api/sessions")).body == []
    assert (await api.fetch("GET", f"/api/sessions/{opened['id']}")).status == 404
    assert take_back() == 1
    (kept,) = (await api.fetch("GET", "/api/sessions")).body
    assert (kept["id"], kept["kernel"]["id"]) == (opened["id"], kernel_id)
    assert (await api("GET", f"/runtimes/{kernel_id}")).body["notebooks"][0]["path"] == "one.ipynb"
    browser = await open_browser(kernel_id)
    assert (await browser.execute("print(x)")).text == "42\n"
    assert (await api("GET", f"/runtimes/{kernel_id}")).body["executions"] == 2
    assert labelled_processes(jp_data_dir) == processes


async def test_everything_works_afterwards(api, session, let_go, take_back, open_browser, events):
    kernel_id = (await session())["kernel"]["id"]
    assert await let_go() == 1
    assert take_back() == 1
    await events.until(action="reachability", runtime_id=kernel_id)
    browser = await open_browser(kernel_id)
    cell = await browser.begin("print('on', flush=True)\nwhile True: pass")
    await browser.until(lambda m: m["msg_type"] == "stream")
    model = (await api.fetch("GET", f"/api/kernels/{kernel_id}")).body
    assert (model["name"], model["execution_state"]) == ("remote-python", "busy")
    await api.fetch("POST", f"/api/kernels/{kernel_id}/interrupt", b"{}")
    assert (await browser.finish(cell)).reply["ename"] == "KeyboardInterrupt"
    await browser.execute("x = 42")
    assert (await api.fetch("POST", f"/api/kernels/{kernel_id}/restart", b"{}")).status == 200
    assert (await browser.execute("print('x' in globals())")).text == "False\n"
    operation = (await api("POST", f"/runtimes/{kernel_id}/restart")).body["id"]
    await events.until(operation_id=operation, operation_state="succeeded")
    assert (await browser.execute("print(6 * 7)")).text == "42\n"
    assert (await api.fetch("DELETE", f"/api/kernels/{kernel_id}")).status == 204
    assert (await api.fetch("GET", "/api/kernels")).body == []
    await events.until(action="phase", phase="stopped", runtime_id=kernel_id)


async def test_again_and_again(session, let_go, take_back, open_browser):
    kernel_id = (await session())["kernel"]["id"]
    await (await open_browser(kernel_id)).execute("count = 0")
    for number in range(1, 4):
        assert await let_go() == 1
        assert take_back() == 1
        browser = await open_browser(kernel_id)
        assert (await browser.execute("count += 1; print(count)")).text == f"{number}\n"


async def test_kernel_that_dies_after_its_return_is_restarted(
    session, let_go, take_back, open_browser
):
    kernel_id = (await session())["kernel"]["id"]
    assert await let_go() == 1
    assert take_back() == 1
    browser = await open_browser(kernel_id)
    await browser.execute("x = 42")
    await browser.begin("import os; os._exit(3)")
    # The restarter of Jupyter does that, and says so.
    await browser.until(lambda m: m["content"].get("execution_state") == "restarting")
    assert (await browser.execute("print('x' in globals())")).text == "False\n"


async def test_ordinary_kernels_are_left_alone(api, jp_serverapp, let_go, take_back):
    body = json.dumps({"name": "python3"}).encode()
    kernel_id = (await api.fetch("POST", "/api/kernels", body)).body["id"]
    assert await let_go() == 0
    assert take_back() == 0
    (listed,) = (await api.fetch("GET", "/api/kernels")).body
    assert listed["id"] == kernel_id


async def test_shutting_all_kernels_down_really_does(jp_serverapp, session, jp_data_dir):
    await session()
    await jp_serverapp.kernel_manager.shutdown_all()
    assert not labelled_processes(jp_data_dir)


@pytest.mark.parametrize(
    "other",
    [{"port": 8889}, {"ip": "0.0.0.0"}, {"root_dir": "/home/b"}, {"sock": "/run/b.sock"}],  # noqa: S104
    ids=lambda other: next(iter(other)),
)
def test_servers_of_other_places_have_other_identities(other):
    place = {"port": 8888, "ip": "localhost", "root_dir": "/home/a", "sock": ""}
    one, same, two = (SimpleNamespace(**values) for values in (place, place, {**place, **other}))
    assert identify_server(one) == identify_server(same)
    assert identify_server(one) != identify_server(two)


def test_server_of_a_hub_is_the_same_on_another_port(monkeypatch):
    place = {"port": 8888, "ip": "localhost", "root_dir": "/home/a", "sock": ""}
    one, two = SimpleNamespace(**place), SimpleNamespace(**{**place, "port": 4711})
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/a/")
    mine = identify_server(one)
    assert mine == identify_server(two)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/a/second/")
    assert mine != identify_server(one)
