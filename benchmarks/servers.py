"""The servers that are compared: ours, the stock one, and one behind a kernel gateway.

All run on the loopback device, each with configuration, data and runtime directories of its own,
and start kernels with one and the same interpreter. Output limits are switched off everywhere,
because they would decide the result.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import venv
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
GATEWAY_FOLDER = ROOT / ".cache" / "kernel-gateway"
SSHPYK_FOLDER = ROOT / ".cache" / "sshpyk"
LOCAL_KERNEL = "bench-python"
TINY_KERNEL = "remote-tiny"
_START_LIMIT_S = 60.0
_NO_LIMITS = ("--ZMQChannelsWebsocketConnection.limit_rate=False",)


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    port : int
        Where it listens on the loopback device.
    token : str
        For the ``Authorization`` header.
    pid : int
        Its process.
    """

    port: int
    token: str
    pid: int

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Make one HTTP request and return the parsed JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={
                    "Authorization": f"token {self.token}",
                    "Content-Type": "application/json",
                },
            )
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:500]!r}")
        return json.loads(data) if data else None


@dataclass(frozen=True)
class Variant:
    """One way to a kernel.

    Attributes
    ----------
    name : str
        The row in the tables.
    server : Server
        Whom the client talks to.
    kernel : str
        The kernelspec.
    subprotocol : bool
        Whether the client offers the binary websocket protocol; gateways know only the old one.
    nodelay : bool
        Whether the client sets TCP_NODELAY on its side.
    """

    name: str
    server: Server
    kernel: str
    subprotocol: bool = True
    nodelay: bool = True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Jupyter finds only what lies in ``folder``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    # Without compiled modules everything that starts would be measured a second too slow.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["JUPYTER_CONFIG_DIR"] = str(folder / "config")
    environment["JUPYTER_DATA_DIR"] = str(folder / "data")
    environment["JUPYTER_RUNTIME_DIR"] = str(folder / "run")
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def _prepare(folder: Path, config: dict[str, Any]) -> None:
    """Write the configuration and the local kernelspec of one server."""
    kernel = folder / "data" / "kernels" / LOCAL_KERNEL
    for each in (folder / "config", folder / "run", folder / "notebooks", kernel):
        each.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Local Python",
        "language": "python",
        "metadata": {"debugger": True},
    }
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    path = folder / "config" / "jupyter_server_config.json"
    path.write_text(json.dumps(config), encoding="utf-8")


@contextmanager
def _running(command: list[str], folder: Path, port: int, token: str) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it at the end."""
    # Ended by a signal, a benchmark must still take its servers along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=_environment(folder),
            cwd=folder / "notebooks",
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    server = Server(port, token, process.pid)
    try:
        _wait_until_up(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            server.request("GET", "/api/kernelspecs")
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise RuntimeError(f"a server did not start:\n{text}") from error
            time.sleep(0.1)
        else:
            return


@contextmanager
def _jupyter_server(
    folder: Path,
    *options: str,
    extension: bool,
    environments: dict[str, Any] | None = None,
    python: str = sys.executable,
) -> Iterator[Server]:
    port, token = _free_port(), secrets.token_hex(16)
    config: dict[str, Any] = {
        "ServerApp": {
            "jpserver_extensions": {
                "jupyter_remote_kernels": extension,
                "jupyterlab": False,
                "jupyter_lsp": False,
                "notebook_shim": False,
                "jupyter_server_terminals": False,
            }
        }
    }
    if environments is not None:
        # What a benchmark has started must not outlive it.
        config["RemoteKernels"] = {"environments": environments, "on_server_stop": "terminate"}
    _prepare(folder, config)
    command = [python, "-m", "jupyter_server", f"--ServerApp.port={port}"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", "--no-browser"]
    command += ["--allow-root", f"--IdentityProvider.token={token}", *_NO_LIMITS, *options]
    with _running(command, folder, port, token) as server:
        yield server


def ensure_gateway() -> Path:
    """Return the command of a kernel gateway, installed once into a folder of its own."""
    command = GATEWAY_FOLDER / "bin" / "jupyter-kernelgateway"
    _install(GATEWAY_FOLDER, command, "jupyter-kernel-gateway>=3")
    return command


def ensure_sshpyk() -> Path:
    """Return a Python with sshpyk, a Jupyter server and ipykernel, in a folder of its own."""
    packages = ("sshpyk>=1.25", "jupyter_server>=2.14,<3", "ipykernel")
    _install(SSHPYK_FOLDER, SSHPYK_FOLDER / "bin" / "sshpyk", *packages)
    return SSHPYK_FOLDER / "bin" / "python"


def _install(folder: Path, command: Path, *packages: str) -> None:
    """Install packages once into a virtual environment of their own."""
    if command.exists():
        return
    print(f"installing {' '.join(packages)} into {folder.relative_to(ROOT)}", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    # Compiled modules, or everything that starts would be measured a second too slow.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [*install, "--disable-pip-version-check", *packages], check=True, env=environment
    )


@contextmanager
def start_gateway(folder: Path) -> Iterator[Server]:
    """Start a kernel gateway."""
    port, token = _free_port(), secrets.token_hex(16)
    _prepare(folder, {})
    command = [str(ensure_gateway()), "--KernelGatewayApp.ip=127.0.0.1", *_NO_LIMITS]
    command += [f"--KernelGatewayApp.port={port}", f"--KernelGatewayApp.auth_token={token}"]
    command += ["--KernelGatewayApp.port_retries=0"]
    with _running(command, folder, port, token) as server:
        yield server


@contextmanager
def start_front(folder: Path, gateway: Server, port: int) -> Iterator[Server]:
    """Start a plain server whose kernels are a gateway's, which is reached at a port."""
    address = f"--gateway-url=http://127.0.0.1:{port}"
    options = (address, f"--GatewayClient.auth_token={gateway.token}")
    with _jupyter_server(folder, *options, extension=False) as server:
        yield server


@contextmanager
def start_ours(folder: Path, more: dict[str, Any] | None = None) -> Iterator[Server]:
    """Start a server with our extension: a remote Python and a remote tiny kernel.

    Parameters
    ----------
    folder : Path
        An empty directory for everything that it writes.
    more : dict, optional
        More environments.
    """
    tiny = str(Path(__file__).with_name("tiny_kernel.py"))
    environments = {
        "python": {"display_name": "Python (remote)", "provider": "local"},
        "tiny": {
            "display_name": "Tiny (remote)",
            "provider": "local",
            "language": "tiny",
            "argv": [sys.executable, tiny, "{connection_file}"],
        },
        **(more or {}),
    }
    with _jupyter_server(folder, extension=True, environments=environments) as server:
        yield server


@contextmanager
def start_sshpyk(folder: Path, host: str, ssh_config: Path) -> Iterator[Server]:
    """Start a plain server whose kernel ``far`` is sshpyk's, on a host over SSH."""
    python = str(ensure_sshpyk())
    with _jupyter_server(folder, extension=False, python=python) as server:
        command = [
            *(str(SSHPYK_FOLDER / "bin" / "sshpyk"), "add", "--kernel-name", "far"),
            *("--display-name", "far", "--language", "python", "--ssh-host-alias", host),
            *("--ssh-config", str(ssh_config), "--remote-python", python),
            *("--remote-kernel-name", "python3"),
        ]
        subprocess.run(command, check=True, env=_environment(folder), stdout=subprocess.DEVNULL)
        yield server


@contextmanager
def start_variants(
    folder: Path, *, gateway: bool = True, more: dict[str, Any] | None = None
) -> Iterator[list[Variant]]:
    """Start all servers and yield the ways to a kernel; the first one is what ratios refer to.

    Parameters
    ----------
    folder : Path
        An empty directory for everything that the servers write.
    gateway : bool
        Whether to compare with a kernel gateway too.
    more : dict, optional
        More environments of ours, each a variant of its own.
    """
    with ExitStack() as stack:
        ours = stack.enter_context(start_ours(folder / "ours", more))
        stock = stack.enter_context(_jupyter_server(folder / "stock", extension=False))
        variants = [
            Variant("local", ours, LOCAL_KERNEL),
            Variant("remote", ours, "remote-python"),
            *(Variant(name, ours, f"remote-{name}") for name in more or {}),
            Variant("stock", stock, LOCAL_KERNEL),
        ]
        if gateway:
            backend = stack.enter_context(start_gateway(folder / "gateway"))
            front = stack.enter_context(start_front(folder / "front", backend, backend.port))
            variants.append(Variant("gateway", front, LOCAL_KERNEL, subprotocol=False))
        yield variants
