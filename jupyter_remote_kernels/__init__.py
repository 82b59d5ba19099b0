"""Remote kernels for Jupyter: kernels that run elsewhere and work as if they were local.

Folders, in reading order: ``model`` (pure data and decisions), ``providers`` (getting a job
from an engine), ``agent`` (the process beside a kernel), ``link`` (bytes between here and the
agent), ``control`` (the life cycle), ``jupyter`` (Jupyter's hooks and HTTP), ``cli``.
This module imports nothing heavy, because the agent imports it on every launch.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab where the front end lies. Called by JupyterLab's extension discovery."""
    return [{"src": "labextension", "dest": "jupyter-remote-kernels"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Name the server extension. Called by jupyter_server while it links extensions."""
    # By name, and only when it is asked for: the agent imports this module too.
    app = import_module("jupyter_remote_kernels.jupyter.app")
    return [{"module": "jupyter_remote_kernels", "app": app.RemoteKernels}]
