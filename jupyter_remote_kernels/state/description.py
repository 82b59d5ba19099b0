"""What another kernel has to know of this one before it sends something."""

from __future__ import annotations

import platform
import sys
import types
from typing import Any

from jupyter_remote_kernels.state.compat import list_packages
from jupyter_remote_kernels.state.namespace import list_names


def describe_kernel(shell: Any) -> dict[str, Any]:
    """Return the language and its version, and which names are taken by what.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    """
    names = list_names(shell)
    values = {name: shell.user_ns.get(name) for name in names}
    return {
        "names": names,
        "modules": {
            name: value.__name__
            for name, value in values.items()
            if isinstance(value, types.ModuleType)
        },
        "language": "python",
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "packages": list_packages(),
    }
