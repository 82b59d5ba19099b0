"""The known traps of putting something that is no local process behind jupyter_client.

One test each; the numbers are those of the list in ``docs/developers/rest.md``. Those of the
server's routes are in ``test_pitfalls_routes.py``.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import warnings

import psutil
import pytest
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)

from jupyter_remote_kernels.jupyter import kernel_manager as our_managers
from tests.server.processes import labelled_processes

# Overridden on purpose for those who ask from outside: the manager itself, while it shuts a kernel
# down, has to see the truth.
# The server's own class overrides these publicly, too, to tell events about them.
PUBLIC_ONLY = {"is_alive", "restart_kernel"}


@pytest.fixture
def environments():
    return {"python": {}}


@pytest.fixture
def server_settings():
    # The same paths as with the defaults, walked faster.
    return {
        "KernelRestarter": {"time_to_dead": 0.3},
        "KernelManager": {"shutdown_wait_time": 0.6},
    }


@pytest.fixture
def agent(jp_data_dir):
    """Find the agent's process of a runtime."""

    def find(runtime_id):
        found = labelled_processes(jp_data_dir, f"jrk-{runtime_id}")
        (pid,) = [pid for pid, line in found.items() if "jupyter_remote_kernels.agent" in line]
        return psutil.Process(pid)

    return find


@pytest.fixture
def manager(jp_serverapp):
    """Return the kernel manager of one kernel."""
    return jp_serverapp.kernel_manager.get_kernel


@pytest.fixture
def connect(manager):
    """Connect jupyter_client's own client, which never heard of us."""
    clients = []

    async def open_client(kernel_id):
        client = AsyncKernelClient(connection_file=manager(kernel_id).connection_file)
        client.load_connection_file()
        client.start_channels()
        clients.append(client)
        await client.wait_for_ready(timeout=30)
        return client

    yield open_client
    for client in clients:
        client.stop_channels()


async def run(client, code):
    """Run a cell with jupyter_client; returns what it printed."""
    text = []

    def show(message):
        if message["msg_type"] == "stream":
            text.append(message["content"]["text"])

    await client.execute_interactive(code, timeout=30, output_hook=show)
    return "".join(text)


async def until_idle(api, events, runtime_id):
    """Wait until a runtime's kernel can run cells."""
    while (await api("GET", f"/runtimes/{runtime_id}")).body["execution_state"] != "idle":
        await events.until(runtime_id=runtime_id)


async def test_pitfall_01_unreachable_is_not_dead(
    api, launch, open_browser, agent, manager, plane, events
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("x = 42")
    process = agent(runtime_id)
    process.suspend()
    try:
        # The connection breaks, and the machine over there does not answer.
        transport = plane.find(runtime_id).link._channels._websocket._transport
        plane.background._loop.call_soon_threadsafe(transport.abort)
        await events.until(action="reachability", runtime_id=runtime_id)
        assert await manager(runtime_id).provisioner.poll() is None
        assert await manager(runtime_id).is_alive()
        runtime = (await api("GET", f"/runtimes/{runtime_id}")).body
        assert (runtime["phase"], runtime["reachability"]["state"]) == ("running", "unknown")
        assert runtime["execution_state"] == "unknown"
        cell = await browser.begin("print(x)")
    finally:
        process.resume()
    # Nothing was restarted: what the kernel knew is still there, and the cell was not lost.
    assert (await browser.finish(cell)).text == "42\n"
    assert agent(runtime_id).pid == process.pid


async def test_pitfall_02_stubborn_kernel_is_restarted_without_its_agent(
    api, launch, open_browser, agent, tmp_path
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    before = agent(runtime_id).pid
    await browser.begin(
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "while True: pass"
    )
    await browser.until(lambda m: m["msg_type"] == "stream")
    # Ends only by a kill, which jupyter_client announces as no restart.
    reply = await api.fetch("POST", f"/api/kernels/{runtime_id}/restart", b"{}")
    assert reply.status == 200
    assert (await browser.execute("print('new')")).text == "new\n"
    assert agent(runtime_id).pid == before


async def test_pitfall_03_kernel_hears_of_the_shutdown_before_its_job_is_stopped(
    api, launch, open_browser, tmp_path
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    goodbye = tmp_path / "goodbye"
    await browser.execute(
        f"import atexit, pathlib\natexit.register(pathlib.Path({str(goodbye)!r}).touch)"
    )
    await api("DELETE", f"/runtimes/{runtime_id}")
    assert goodbye.exists()


async def test_pitfall_04_server_that_ends_takes_its_runtimes_along(
    jp_serverapp, launch, plane, jp_data_dir
):
    runtime_id = await launch()
    await jp_serverapp._cleanup()
    assert not labelled_processes(jp_data_dir)
    record = await plane.run(plane.services.registry.get(runtime_id))
    assert record.phase.value == "stopped"


async def test_pitfall_05_connection_file_tells_the_truth_also_after_a_restart(
    launch, manager, connect, jp_serverapp, plane
):
    runtime_id = await launch()
    kernel = manager(runtime_id)

    def told():
        with open(kernel.connection_file) as file:
            info = json.load(file)
        return {key: value for key, value in info.items() if key.endswith("_port")}, info["key"]

    before = told()
    bound = plane.find(runtime_id).bridge.connection
    assert before == (
        {k: v for k, v in bound.items() if k.endswith("_port")},
        bound["key"].decode(),
    )
    assert isinstance(kernel.session.key, bytes)
    assert os.stat(kernel.connection_file).st_mode & 0o077 == 0
    client = await connect(runtime_id)
    assert await run(client, "print(1)") == "1\n"
    await jp_serverapp.kernel_manager.restart_kernel(runtime_id)
    assert told() == before
    assert await run(client, "print(2)") == "2\n"


async def test_pitfall_06_early_death_asks_for_new_ports_and_stays_reachable(
    api, launch, events, open_browser, manager, connect
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    ports = manager(runtime_id).shell_port
    # It has not been alive for long, so the restarter asks for other ports.
    await browser.begin("import os; os._exit(7)")
    await browser.until(lambda m: m["content"].get("execution_state") == "restarting")
    await until_idle(api, events, runtime_id)
    assert (await browser.execute("print('again')")).text == "again\n"
    client = await connect(runtime_id)
    assert await run(client, "print('by its file')") == "by its file\n"
    assert manager(runtime_id).shell_port == ports


async def test_pitfall_07_instances_do_not_share_their_connection(launch, manager):
    first, second = [manager(await launch()).provisioner for _ in range(2)]
    assert first.connection_info["shell_port"] != second.connection_info["shell_port"]
    assert KernelProvisionerBase.connection_info == {}


@pytest.mark.parametrize(
    "name",
    ["RemoteKernelManager", "RemoteMappingKernelManager", "RemoteMultiKernelManager"],
)
def test_pitfall_12_overridden_methods_are_bound_under_both_names(name):
    ours = getattr(our_managers, name)
    for cls in ours.__mro__:
        if cls.__module__ != our_managers.__name__:
            continue
        for attribute, method in vars(cls).items():
            if attribute.startswith("_async_"):
                public = attribute.removeprefix("_async_")
                assert inspect.getattr_static(ours, public) is method, attribute
            # An override under the public name alone would be skipped inside.
            inside = f"_async_{attribute}"
            if hasattr(ours, inside) and vars(cls).get(inside) is not method:
                assert attribute in PUBLIC_ONLY, attribute


async def test_pitfall_13_kernelspec_is_known_at_once(launch, manager):
    kernel = manager(await launch())
    assert kernel.kernel_spec.display_name == "python (remote)"
    kernel._kernel_spec = None
    assert kernel.kernel_spec.language == "python"


async def test_pitfall_14_many_clients_on_every_channel(launch, connect):
    runtime_id = await launch()
    clients = [await connect(runtime_id) for _ in range(4)]
    texts = await asyncio.gather(*(run(c, f"print({i})") for i, c in enumerate(clients)))
    assert texts == ["0\n", "1\n", "2\n", "3\n"]
    for client in clients:
        assert await client.is_alive()
        client.hb_channel.unpause()
        message_id = client.kernel_info()
        reply = await client.get_shell_msg(timeout=30)
        assert reply["parent_header"]["msg_id"] == message_id
        control = client.session.msg("kernel_info_request", {})
        client.control_channel.send(control)
        reply = await client.get_control_msg(timeout=30)
        assert reply["parent_header"]["msg_id"] == control["header"]["msg_id"]


async def test_pitfall_18_restart_keeps_the_allocation(api, launch, open_browser, agent):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    pids = "import os; print(os.getppid(), os.getpid())"
    agent_before, kernel_before = (await browser.execute(pids)).text.split()
    assert int(agent_before) == agent(runtime_id).pid
    await api.fetch("POST", f"/api/kernels/{runtime_id}/restart", b"{}")
    agent_after, kernel_after = (await browser.execute(pids)).text.split()
    assert agent_after == agent_before
    assert kernel_after != kernel_before


def test_pitfall_19_managers_have_the_bases_that_jupyter_server_wants():
    assert issubclass(our_managers.RemoteKernelManager, ServerKernelManager)
    assert issubclass(our_managers.RemoteMappingKernelManager, AsyncMappingKernelManager)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        our_managers.RemoteMappingKernelManager()
