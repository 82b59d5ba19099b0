"""Publishing environments as kernelspecs.

Each environment is a real kernelspec directory, so that every client of jupyter_client can
use it. They lie under our own state directory, in a folder named after their content: two
servers with different configurations do not disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_data_dir

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.control.owners import ensure_private_directory
from jupyter_remote_kernels.model.environments import KERNEL_PREFIX, Environment

if TYPE_CHECKING:
    from collections.abc import Sequence

PROVISIONER = "remote-kernels"
_LOGO = Path(__file__).parent / "logos" / "logo-svg.svg"


def make_kernelspec(environment: Environment) -> dict[str, Any]:
    """Return the content of ``kernel.json`` for an environment.

    It is served to everybody who may list kernelspecs, so there is no secret in it.
    """
    python = str(Path(environment.options.get("python") or sys.executable).expanduser())
    carried = environment.to_json()
    del carried["kernel_name"]
    carried["env"] = dict(environment.env)
    argv = list(environment.argv) or [
        python,
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ]
    return {
        "argv": argv,
        "display_name": environment.display_name,
        "language": environment.language,
        "interrupt_mode": "signal",
        "metadata": {
            "debugger": environment.language == "python",
            "kernel_provisioner": {
                "provisioner_name": PROVISIONER,
                "config": {"environment": carried},
            },
        },
    }


def publish(environments: Sequence[Environment], directory: Path) -> Path:
    """Write the kernelspecs of all environments.

    Parameters
    ----------
    environments : sequence of Environment
        What to publish.
    directory : Path
        Our state directory.

    Returns
    -------
    Path
        The folder to append to ``kernel_spec_manager.kernel_dirs``.
    """
    specs = {item.kernel_name: make_kernelspec(item) for item in environments}
    content = json.dumps([__version__, specs], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    folder = directory / "kernels" / digest
    if not folder.is_dir():
        ensure_private_directory(directory)
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        # Built aside and renamed: another process sees all of it or nothing.
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        for name, spec in specs.items():
            _write(building / name, spec)
        try:
            building.rename(folder)
        except OSError:
            shutil.rmtree(building)  # another process published the same at the same moment
    return folder


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
