"""Publishing environments as kernelspecs.

Each environment is a real kernelspec directory, so that every client of jupyter_client can
use it. They lie under our own state directory, in a folder named after their content: two
servers with different configurations do not disturb each other.

Who uses a folder holds a shared lock on a file in it. Its process may die as it likes: the lock
is gone then. Who publishes something new removes the folders that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_data_dir

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.control.owners import ensure_private_directory
from jupyter_remote_kernels.control.warm import make_argv
from jupyter_remote_kernels.jupyter.launch_parameters import describe_parameters
from jupyter_remote_kernels.model.environments import KERNEL_PREFIX, Environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROVISIONER = "remote-kernels"
_LOCK = ".in-use"
_BUILDING = ".new-"
_LOGO = Path(__file__).parent / "logos" / "logo-svg.svg"


def make_kernelspec(environment: Environment) -> dict[str, Any]:
    """Return the content of ``kernel.json`` for an environment.

    It is served to everybody who may list kernelspecs, so there is no secret in it.
    """
    carried = environment.to_json()
    del carried["kernel_name"]
    return {
        # The same command, or no launch would fit what is kept warm for it.
        "argv": list(make_argv(environment)),
        "display_name": environment.display_name,
        "language": environment.language,
        "interrupt_mode": "signal",
        "metadata": {
            "debugger": environment.language == "python",
            "parameters": describe_parameters(environment),
            "kernel_provisioner": {
                "provisioner_name": PROVISIONER,
                "config": {"environment": carried},
            },
        },
    }


class Published:
    """A folder of kernelspecs that is in use until it is closed. Made by :func:`publish`.

    Attributes
    ----------
    folder : Path
        The folder to append to ``kernel_spec_manager.kernel_dirs``.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor = descriptor
        _held.add(self)

    def close(self) -> None:
        """Use it no longer. May be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        _held.discard(self)
        if descriptor >= 0:
            os.close(descriptor)


_held: set[Published] = set()


def _forget() -> None:
    for published in list(_held):
        published.close()


# A child that only forks would hold the locks beyond the life of its parent.
os.register_at_fork(after_in_child=_forget)


def publish(environments: Sequence[Environment], directory: Path) -> Published:
    """Write the kernelspecs of all environments.

    Parameters
    ----------
    environments : sequence of Environment
        What to publish.
    directory : Path
        Our state directory.

    Returns
    -------
    Published
        The folder, held until it is closed or this process ends.
    """
    specs = {item.kernel_name: make_kernelspec(item) for item in environments}
    content = json.dumps([__version__, specs], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    ensure_private_directory(directory)
    folder = directory / "kernels" / digest
    folder.parent.mkdir(exist_ok=True, mode=0o700)
    descriptor = None
    while descriptor is None:
        if not folder.is_dir():
            _build(folder, specs)
        descriptor = _hold(folder)
    for name, spec in specs.items():
        if not (folder / name / "kernel.json").exists():
            _write(folder / name, spec)  # somebody has removed it
    _sweep(folder.parent)
    return Published(folder, descriptor)


def _build(folder: Path, specs: Mapping[str, dict[str, Any]]) -> None:
    """Build a folder aside and rename it: another process sees all of it or nothing."""
    building = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=folder.parent))
    for name, spec in specs.items():
        _write(building / name, spec)
    (building / _LOCK).touch(0o600)
    try:
        building.rename(folder)
    except OSError:
        shutil.rmtree(
            building, ignore_errors=True
        )  # another process published the same at the same moment


def _hold(folder: Path) -> int | None:
    """Lock a folder for use; None when it was removed meanwhile."""
    path = folder / _LOCK
    try:
        # For writing, because locks on network file systems ask for it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        is_current = os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        is_current = False  # it is being removed at this moment
    except OSError:
        return descriptor  # there are no locks here, so nobody can remove it either
    if is_current:
        return descriptor
    os.close(descriptor)
    return None


def _sweep(directory: Path) -> None:
    """Remove the folders that no living process uses."""
    for folder in directory.iterdir():
        if folder.name.startswith(_BUILDING):
            continue
        # One without a lock file is of a version that held none; it may be in use.
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Renamed first: nobody may take up what is half removed.
                doomed = folder.with_name(f".old-{folder.name}")
                folder.rename(doomed)
                shutil.rmtree(doomed)
            finally:
                os.close(descriptor)


def install(environments: Sequence[Environment], directory: Path | None = None) -> list[Path]:
    """Put the kernelspecs on Jupyter's own path, for clients without our server extension.

    Parameters
    ----------
    environments : sequence of Environment
        What to install. Kernelspecs of ours that are not among them are removed.
    directory : Path, optional
        A ``kernels`` directory; the user's own by default.

    Returns
    -------
    list of Path
        What was written.
    """
    target = directory or Path(jupyter_data_dir()) / "kernels"
    target.mkdir(parents=True, exist_ok=True)
    wanted = {item.kernel_name: make_kernelspec(item) for item in environments}
    for folder in target.glob(f"{KERNEL_PREFIX}*"):
        if folder.name not in wanted and _is_ours(folder):
            shutil.rmtree(folder)
    written = []
    for name, spec in wanted.items():
        _write(target / name, spec)
        written.append(target / name)
    return written


def _write(folder: Path, spec: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "kernel.json.new"
    new.write_text(json.dumps(spec, indent=1))
    os.replace(new, folder / "kernel.json")
    shutil.copyfile(_LOGO, folder / _LOGO.name)


def _is_ours(folder: Path) -> bool:
    try:
        spec = json.loads((folder / "kernel.json").read_text())
        named = spec["metadata"]["kernel_provisioner"]["provisioner_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(named == PROVISIONER)
