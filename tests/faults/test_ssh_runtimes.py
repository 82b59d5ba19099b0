"""Runtimes on hosts over SSH, through the whole control plane."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import tiny_kernel
from jupyter_remote_kernels.model.phases import Phase
from tests.engines.sshd import Sshd
from tests.engines.tools import give_up
from tests.faults.support import wait_until

PYTHON39 = Path(__file__).resolve().parents[2] / ".cache" / "python39" / "bin" / "python"
TINY = ("{python}", tiny_kernel.__file__, "{connection_file}")
IPYKERNEL = ("{python}", "-m", "ipykernel_launcher", "-f", "{connection_file}")
RUNTIMES = 50


@pytest.fixture
def own_sshd(tmp_path):
    """A server that nobody else uses."""
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


def far_files(home):
    """Return the names of what lies below a host's directory of jobs."""
    folder = home / ".cache" / "jupyter_remote_kernels"
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def options(place, python=sys.executable):
    return {**place.options, "python": str(python)}


@pytest.mark.timeout(240)
def test_fifty_runtimes_share_one_connection_and_all_answer(launch, own_sshd):
    runtimes = [launch("ssh", TINY, **options(own_sshd)) for _ in range(RUNTIMES)]
    for runtime in runtimes:
        runtime.until_phase(Phase.RUNNING)
        runtime.settle()
    asked = [(runtime, runtime.send(f"cell of {runtime.driver.record.id}")) for runtime in runtimes]
    for runtime, msg_id in asked:
        reply, published = runtime.outcome(msg_id)
        assert reply["status"] == "ok"
        (result,) = [m["content"] for m in published if m["msg_type"] == "execute_result"]
        assert result["data"]["text/plain"] == f"cell of {runtime.driver.record.id}"
    assert own_sshd.count_accepted() == 1
    assert len(own_sshd.connections()) == 1
    for runtime in runtimes:
        runtime.stop()
    assert far_files(own_sshd.home) == []


def test_host_with_python_39_and_nothing_but_ipykernel(launch, hosts):
    if not PYTHON39.exists():
        give_up("there is no Python 3.9 with ipykernel in .cache/python39")
    packages = PYTHON39.parent.parent / "lib" / "python3.9" / "site-packages"
    assert list(packages.glob("ipykernel"))
    assert not list(packages.glob("jupyter_remote*"))
    home = hosts[1].home
    runtime = launch("ssh", IPYKERNEL, **options(hosts[1], PYTHON39))
    runtime.settle()
    msg_id = runtime.send("import os, sys; print(sys.version_info[:2], os.uname().nodename)")
    reply, published = runtime.outcome(msg_id)
    assert reply["status"] == "ok"
    text = "".join(m["content"]["text"] for m in published if m["msg_type"] == "stream")
    assert text == "(3, 9) h2\n"
    # Nothing that could be imported has ever got a name there.
    assert not [name for name in far_files(home) if name.endswith((".py", ".pyc", ".pyz", ".zip"))]
    assert far_files(home)
    runtime.stop()
    assert far_files(home) == []
    assert "jupyter" not in hosts[1].exec("ps", "ax", "-o", "args")


def test_cell_goes_on_while_the_connection_is_lost(launch, own_sshd):
    runtime = launch("ssh", IPYKERNEL, **options(own_sshd))
    runtime.settle()
    mark = own_sshd.home / "go"
    waiting = f"import os, time\nwhile not os.path.exists({str(mark)!r}): time.sleep(.05)\n"
    msg_id = runtime.send(f"{waiting}for number in range(100): print(number)\n'over'")
    assert runtime.next_state(msg_id) == "busy"
    own_sshd.drop_connections()
    mark.touch()
    reply, published = runtime.outcome(msg_id)
    assert reply["status"] == "ok"
    text = "".join(m["content"]["text"] for m in published if m["msg_type"] == "stream")
    assert text.split() == [str(number) for number in range(100)]
    (result,) = [m["content"] for m in published if m["msg_type"] == "execute_result"]
    assert result["data"]["text/plain"] == "'over'"
    assert own_sshd.count_accepted() == 2
    runtime.stop()


def test_end_that_nobody_saw_is_told_with_its_cause(launch, own_sshd):
    runtime = launch("ssh", TINY, **options(own_sshd))
    runtime.settle()
    own_sshd.ssh("kill", str(runtime.driver.record.checkpoint["job"]["pid"]))
    runtime.until_phase(Phase.FAILED)
    assert runtime.driver.record.exit.reason == "agent_terminated"
    runtime.stop()
    wait_until(lambda: far_files(own_sshd.home) == [])


def test_host_that_refuses_is_a_failed_launch_with_words(launch, own_sshd):
    own_sshd.known_hosts.write_text("")
    runtime = launch("ssh", TINY, **options(own_sshd))
    runtime.until_phase(Phase.FAILED)
    cause = runtime.driver.record.exit
    assert cause.reason == "host_key_unknown"
    assert "ssh box" in cause.hint
    runtime.stop()
