"""Starting an agent on this machine: its socket, settings, log and environment."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import jupyter_remote_kernels
from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.protocol.nursery import LABEL_VARIABLE
from jupyter_remote_kernels.providers.processes import JobProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jupyter_remote_kernels.providers.base import JobSpec
    from jupyter_remote_kernels.providers.cgroups import Cgroups

AGENT_COMMAND = ("-m", "jupyter_remote_kernels.agent")
# With more arguments behind it: the only kernel that can be forked.
KERNEL_COMMAND = ("-m", "ipykernel_launcher")
# The server's own keys: a kernel runs the user's code, which has no business with them.
_SECRET = re.compile(
    r"(JUPYTER|JUPYTERHUB|JPY|CONFIGPROXY|KG|EG)_(.*_)?(TOKEN|SECRET|PASSWORD|CRYPT_KEY)"
)
_BACKLOG = 128


def find_python(options: Mapping[str, Any]) -> str:
    """Return the interpreter that an environment's options ask for.

    Raises
    ------
    ProviderError
        When the options hold something else.
    """
    unknown = set(options) - {"python"}
    python = options.get("python", sys.executable)
    if unknown or not isinstance(python, str) or not python:
        key = sorted(unknown)[0] if unknown else "python"
        raise ProviderError(
            f"the provider 'local' cannot use the option {key!r}",
            reason="bad_option",
            hint="It knows the option 'python', the path of an interpreter.",
        )
    return str(Path(python).expanduser())


def listen() -> socket.socket:
    """Return a listening socket on a free port of the loopback interface."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def spawn(
    command: Sequence[str], spec: JobSpec, groups: Cgroups | None, listener: socket.socket
) -> JobProcess:
    """Start an agent in a session of its own, its output appended to ``agent.log``.

    Raises
    ------
    OSError
        When the command cannot be executed or the directory cannot be used.
    """
    settings = complete_settings(spec, groups, listener.fileno())
    # No preexec_fn: with one, the whole memory of this process would be copied first.
    with (
        nameless_file(settings, spec.directory) as stdin,
        open_log(spec.directory) as log,
    ):
        return JobProcess(
            command,
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd=spec.directory,
            env=agent_environment(command[0], spec),
            start_new_session=True,
            pass_fds=(listener.fileno(),),
        )


def complete_settings(spec: JobSpec, groups: Cgroups | None, descriptor: int) -> dict[str, Any]:
    """Return what the agent is told, with what only the provider knows."""
    memory_bytes = spec.resources.memory_bytes
    in_group = groups is not None and groups.memory is not None
    return {
        **spec.agent_settings,
        "listen_fd": descriptor,
        "limits": {
            "cgroup_procs": groups.process_files if groups else [],
            "address_space_bytes": None if in_group else memory_bytes,
        },
        "cgroup": groups.to_json() if groups else {},
        "memory_limit_bytes": memory_bytes,
    }


@contextlib.contextmanager
def nameless_file(content: Mapping[str, Any], directory: str) -> Iterator[IO[bytes]]:
    """Hold JSON as a file without a name, at its start.

    Not a pipe: writing one that is larger than its buffer would wait for the agent to read.
    """
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(json.dumps(dict(content)).encode())
        file.seek(0)
        yield file


def open_log(directory: str) -> IO[bytes]:
    """Open an agent's log at its end."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    return os.fdopen(os.open(Path(directory) / "agent.log", flags, 0o600), "ab")


def server_environment() -> dict[str, str]:
    """Return this process's environment without the server's own keys."""
    return {key: value for key, value in os.environ.items() if not _SECRET.fullmatch(key)}


def agent_environment(python: str, spec: JobSpec) -> dict[str, str]:
    """Return the whole environment of an agent."""
    env = server_environment()
    env[LABEL_VARIABLE] = spec.label
    if python != sys.executable:
        add_library(env, Path(spec.directory))
    return env


def add_library(env: dict[str, str], directory: Path) -> None:
    """Let another Python import us from a folder below ``directory`` that holds nothing else.

    Our whole site-packages would break the other Python.
    """
    library = directory / "library"
    library.mkdir(mode=0o700, exist_ok=True)
    package = Path(jupyter_remote_kernels.__file__).parent
    cloudpickle = importlib.util.find_spec("cloudpickle")
    places = {package.name: package}
    if cloudpickle is not None and cloudpickle.origin:
        # Under a name that nobody imports, since that Python may have another version of it.
        places["cloudpickle_source"] = Path(cloudpickle.origin).parent
    for name, place in places.items():
        with contextlib.suppress(FileExistsError):
            (library / name).symlink_to(place)
    others = [env["PYTHONPATH"]] if env.get("PYTHONPATH") else []
    env["PYTHONPATH"] = os.pathsep.join([*others, str(library)])
