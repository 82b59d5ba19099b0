"""What goes wrong over SSH is told soon, and says which it is and what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_remote_kernels.errors import ProviderUnavailable
from jupyter_remote_kernels.providers import ssh as ssh_module
from tests.contract.ssh_jobs import SshJobs, far_files
from tests.engines.tools import give_up, make_key


def refuse(place, **options):
    """Return the error with which a job is refused."""

    async def start():
        async with SshJobs(place.options) as jobs:
            return await jobs.refused(**options)

    return asyncio.run(start())


def test_host_key_that_is_not_known(own_sshd):
    own_sshd.known_hosts.write_text("")
    error = refuse(own_sshd)
    assert error.reason == "host_key_unknown"
    assert "SHA256:" in error.message
    assert "ssh box" in error.hint


def test_known_hosts_that_cannot_be_switched_off(own_sshd):
    own_sshd.write_ssh_config(UserKnownHostsFile="none", StrictHostKeyChecking="no")
    assert refuse(own_sshd).reason == "host_key_unknown"
    own_sshd.write_ssh_config(UserKnownHostsFile="/nowhere/known_hosts")
    assert refuse(own_sshd).reason == "host_key_unknown"


def test_host_key_that_has_changed(own_sshd):
    own_sshd.trust(make_key(own_sshd.folder / "another_ed25519"))
    error = refuse(own_sshd)
    assert error.reason == "host_key_changed"
    assert error.message.count("SHA256:") == 2
    assert "ssh-keygen -R" in error.hint


def test_wrong_key(own_sshd):
    key = make_key(own_sshd.folder / "another_ed25519")
    own_sshd.write_ssh_config(IdentityFile=key)
    error = refuse(own_sshd)
    assert error.reason == "authentication_failed"
    assert "ssh-agent" in error.hint


def test_key_with_a_passphrase_and_no_agent(own_sshd, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(own_sshd.key)]
    subprocess.run(command, check=True)
    error = refuse(own_sshd)
    assert error.reason in ("key_unusable", "authentication_failed")
    assert "ssh-agent" in error.hint


def test_host_that_refuses_connections(own_sshd):
    own_sshd.stop()
    error = refuse(own_sshd)
    assert isinstance(error, ProviderUnavailable)
    assert error.reason == "host_unreachable"
    assert "refused" in error.message


def test_host_whose_name_is_not_known(own_sshd):
    own_sshd.write_ssh_config(HostName="no-such-host.invalid")
    error = refuse(own_sshd)
    assert isinstance(error, ProviderUnavailable)
    assert error.reason == "host_unreachable"
    assert "name is not known" in error.message


def test_host_that_does_not_answer(host):
    host.drop()
    error = refuse(host)
    assert isinstance(error, ProviderUnavailable)
    assert error.reason == "host_unreachable"
    assert "does not answer" in error.message


def test_host_whose_cable_is_out(host):
    host.cut()
    error = refuse(host)
    assert isinstance(error, ProviderUnavailable)
    assert error.reason == "host_unreachable"


def test_host_that_hangs(host):
    host.freeze()
    error = refuse(host)
    assert error.reason == "host_unreachable"


def test_host_that_is_gone_while_its_connection_looks_alive(host):
    async def check():
        async with SshJobs(host.options) as jobs:
            await jobs.start()
            host.cut()
            try:
                error = await jobs.refused()
            finally:
                host.heal()
            assert error.reason == "host_unreachable"

    asyncio.run(check())


def test_server_that_speaks_something_else(own_sshd):
    with socket.create_server(("127.0.0.1", 0)) as server:
        own_sshd.write_ssh_config(Port=server.getsockname()[1])
        accepting = asyncio.to_thread(_greet, server)

        async def check():
            async with SshJobs(own_sshd.options) as jobs:
                return (await asyncio.gather(jobs.refused(), accepting))[0]

        assert asyncio.run(check()).reason == "host_unreachable"


def _greet(server):
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_python_that_is_not_there(sshd):
    error = refuse(sshd, python="python9.9")
    assert error.reason == "python_missing"
    assert "python9.9" in error.message
    assert "option 'python'" in error.hint


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8"])
def test_python_that_is_too_old(sshd, version):
    python = find_python(version)
    error = refuse(sshd, python=python)
    assert error.reason == "python_too_old"
    assert f"Python {version}" in error.message


def test_python_without_ipykernel(sshd, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    error = refuse(sshd, python=None, venv=str(bare), argv=("{python}", "-m", "ipykernel_launcher"))
    assert error.reason == "ipykernel_missing"
    assert "-m pip install ipykernel" in error.hint
    assert str(bare) in error.hint
    assert far_files(sshd.home) == []


def test_full_disk(host):
    place = f"/var/tmp/small-{os.getpid()}"
    host.exec("mkdir", "-p", place)
    host.exec("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place)
    error = refuse(host, directory=place)
    assert error.reason == "disk_full"
    assert place in error.message
    assert "option 'directory'" in error.hint
    assert host.exec("ls", "-A", place) == ""


def test_directory_that_cannot_be_written(host):
    place = f"/var/tmp/fixed-{os.getpid()}"
    host.exec("mkdir", "-p", place)
    host.exec("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", place)
    error = refuse(host, directory=f"{place}/jobs")
    assert error.reason == "directory_not_writable"
    assert "option 'directory'" in error.hint


def test_directory_of_somebody_else(sshd, tmp_path):
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("")
        place = tmp_path / "file"  # not even root can write below a file
    else:
        place = tmp_path
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    error = refuse(sshd, directory=f"{place}/jobs")
    assert error.reason == "directory_not_writable"


def test_working_directory_that_is_not_there(sshd):
    error = refuse(sshd, cwd="~/nowhere")
    assert error.reason == "cwd_missing"
    assert f"{sshd.home}/nowhere" in error.message


def test_prelude_that_fails(sshd):
    error = refuse(sshd, prelude=["export FINE=1", "echo no such licence >&2; false"])
    assert error.reason == "prelude_failed"
    assert "no such licence" in error.message


def test_module_that_is_not_there(sshd):
    error = refuse(sshd, modules=["cuda/99"])
    assert error.reason == "module_failed"
    assert "module load cuda/99" in error.message


def test_virtual_environment_that_is_not_there(sshd):
    error = refuse(sshd, python=None, venv="~/no venv")
    assert error.reason == "venv_missing"
    assert "~/no venv" in error.message


def test_conda_that_is_not_there(sshd):
    # A shell's start file of the machine may know one; then the environment is what is missing.
    error = refuse(sshd, python=None, conda="no-such-environment")
    assert error.reason in ("conda_missing", "conda_failed")


@pytest.mark.parametrize(
    "options",
    [{"host": "-oProxyCommand=x"}, {"hosst": "a"}, {"port": 0}, {"modules": "a"}, {"python": ""}],
    ids=lambda item: next(iter(item)),
)
def test_options_that_make_no_sense(sshd, options):
    error = refuse(sshd, **options)
    assert error.reason == "bad_option"
    assert next(iter(options)) in error.message


def test_forced_command(own_sshd):
    authorized = own_sshd.folder / "authorized_keys"
    authorized.write_text(f'command="echo backups only" {authorized.read_text()}')
    error = refuse(own_sshd)
    assert error.reason == "far_failed"
    assert "backups only" in error.message


def test_asyncssh_that_is_not_installed(sshd, monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'asyncssh'", name="asyncssh")

    monkeypatch.setattr(ssh_module, "import_module", fail)

    async def check():
        return await SshJobs(sshd.options).refused()

    error = asyncio.run(check())
    assert error.reason == "asyncssh_missing"
    assert "jupyter_remote_kernels[ssh]" in error.hint


def find_python(version):
    """Return a Python of a version, wherever it lies."""
    found = shutil.which(f"python{version}")
    candidates = [Path(found).parent.parent / "versions"] if found else []
    candidates.append(Path.home() / ".pyenv" / "versions")
    for folder in candidates:
        for path in sorted(folder.glob(f"{version}.*/bin/python")):
            return str(path)
    if (
        found
        and subprocess.run([found, "--version"], check=False, capture_output=True).returncode == 0
    ):
        return found
    give_up(f"there is no Python {version} here")
    return None
