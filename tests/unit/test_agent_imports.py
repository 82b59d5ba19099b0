"""What the agent imports: nothing of the server's side, and all of it in an old Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 20


class TestPlacement:
    def test_import_brings_nothing_of_the_server_side(self):
        program = (
            "import sys\n"
            "import jupyter_remote_kernels.agent.__main__, jupyter_remote_kernels.agent.server\n"
            "print(*sorted(sys.modules))"
        )
        loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
        ours = {name for name in loaded if name.startswith("jupyter_remote_kernels.")}
        parts = {name.split(".")[1] for name in ours}
        assert parts == {"agent", "errors", "exchange", "protocol", "sockets", "spill"}
        for foreign in ("jupyter_server", "jupyter_client", "websockets", "sqlite3", "yaml"):
            assert foreign not in loaded
        # Only who is asked for the kernel's state takes these in.
        assert not {"cloudpickle", "jupyter_remote_kernels.protocol.state_stream"} & set(loaded)

    def test_python39_imports_what_runs_beside_a_kernel(self):
        python = find_python39()
        if python is None:
            assert os.environ.get("CI") != "true", "no Python 3.9; PYTHON39=/path names one"
            pytest.skip("there is no Python 3.9 here")
        # Without any package: the rest of the agent is imported by `scripts/test python39`.
        program = (
            "import importlib, pathlib, pkgutil, jupyter_remote_kernels as package\n"
            "for name in ('errors', 'model', 'protocol'):\n"
            "    found = importlib.import_module('jupyter_remote_kernels.' + name)\n"
            "    for item in pkgutil.iter_modules(getattr(found, '__path__', [])):\n"
            "        importlib.import_module(found.__name__ + '.' + item.name)\n"
            "for name in ('__main__', 'kernel_process', 'limits', 'metrics'):\n"
            "    importlib.import_module('jupyter_remote_kernels.agent.' + name)\n"
            "folder = pathlib.Path(package.__file__).parent\n"
            "for path in [folder / 'sockets.py', *folder.glob('agent/*.py')]:\n"
            "    compile(path.read_text(), str(path), 'exec')\n"
        )
        subprocess.run(
            [python, "-W", "error", "-c", program],
            check=True,
            timeout=LIMIT_S,
            env={"PYTHONPATH": str(ROOT)},
        )


def find_python39():
    """Return some Python 3.9, or None."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python"))
    own = str(ROOT / ".cache" / "python39" / "bin" / "python")  # made by scripts/test
    candidates = [os.environ.get("PYTHON39"), own, shutil.which("python3.9"), *map(str, pyenv)]
    candidates = [each for each in candidates if each and os.path.exists(each)]
    for candidate in candidates:
        version = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info[:2] == (3, 9))"],
            capture_output=True,
            check=False,
        )
        if version.stdout.strip() == b"True":
            return candidate
    return None
