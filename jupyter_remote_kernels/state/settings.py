"""The sections of a session: how each is read in one kernel and written in another."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import random
import re
import sys
import warnings
from typing import Any

from jupyter_remote_kernels.state.attempts import attempt
from jupyter_remote_kernels.state.namespace import UNDERSCORES

# Belong to a machine, a job or a kernel, and would be wrong in another.
_LOCAL_VARIABLES = re.compile(
    r"(JPY|JUPYTER|KERNEL|SLURM|RAY|SSH|XDG|PYTHON|LD|LC|PYDEVD|CONDA|VIRTUAL|PBS|SGE|K8S)_?\w*"
    r"|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|TMPDIR|HOSTNAME|LANG|TERM|PATH|SHLVL|_|MAIL"
    r"|CUDA_VISIBLE_DEVICES|MPLBACKEND|PAGER|GIT_PAGER|CLICOLOR\w*|FORCE_COLOR"
)


def read_paths(_shell: Any) -> dict[str, Any]:
    """Read the working directory and where modules are looked for; ``None`` is Python's own."""
    # One place can have several names: virtual environments are made through links, too.
    prefixes = {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)}
    prefixes |= {os.path.realpath(prefix) for prefix in prefixes}
    folders = tuple(os.path.join(prefix, "") for prefix in prefixes)
    return {
        "directory": os.getcwd(),
        "path": [None if _is_below(entry, folders) else entry for entry in sys.path],
    }


def write_paths(_shell: Any, facts: dict[str, Any]) -> None:
    """Go to the directory, where there is one, and add the places that are missing."""
    if os.path.isdir(facts["directory"]):
        os.chdir(facts["directory"])
    for number, entry in enumerate(facts["path"]):
        if isinstance(entry, str) and entry not in sys.path:
            sys.path.insert(min(number, len(sys.path)), entry)


def _is_below(entry: str, folders: tuple[str, ...]) -> bool:
    return any(
        os.path.join(path, "").startswith(folders)
        for path in (entry, entry and os.path.realpath(entry))
    )


def read_environment(_shell: Any) -> dict[str, Any]:
    """Read which environment variables have changed since the process began."""
    before = _initial_environment()
    changed = {
        name: value
        for name, value in os.environ.items()
        if before.get(name) != value and not _LOCAL_VARIABLES.fullmatch(name)
    }
    removed = [name for name in before if name not in os.environ]
    return {
        "changed": changed,
        "removed": [name for name in removed if not _LOCAL_VARIABLES.fullmatch(name)],
    }


def _initial_environment() -> dict[str, str]:
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return {}
    pairs = (os.fsdecode(entry).partition("=") for entry in entries if b"=" in entry)
    return {name: value for name, _, value in pairs}


def write_environment(_shell: Any, facts: dict[str, Any]) -> None:
    """Change the environment in the same way."""
    os.environ.update(facts["changed"])
    for name in facts["removed"]:
        os.environ.pop(name, None)


def read_sources(_shell: Any) -> dict[str, Any]:
    """Read the text of cells, so that tracebacks and inspection still show it."""
    sources = {
        name: entry
        for name, entry in linecache.cache.items()
        if len(entry) == 4
        and entry[1] is None
        and ("ipykernel_" in name or "ipython-input" in name)
    }
    return {"cache": {name: (entry[0], entry[2], entry[3]) for name, entry in sources.items()}}


def forget_own_sources() -> None:
    """Forget the text of the request that brought these modules: it is no cell of the user."""
    own = __name__.partition(".")[0]
    for name, entry in list(linecache.cache.items()):
        if len(entry) > 1 and "ipykernel" in name and own in "".join(entry[2][-1:]):
            del linecache.cache[name]


def write_sources(_shell: Any, facts: dict[str, Any]) -> None:
    """Enter the text of cells again."""
    for name, (size, lines, path) in facts["cache"].items():
        entry = (size, None, lines, path)
        linecache.cache.setdefault(name, entry)
        # IPython keeps its own copy, which it puts back after each check of the cache.
        kept = getattr(linecache, "_ipython_cache", None)
        if kept is not None:
            kept.setdefault(name, entry)


def read_extensions(shell: Any) -> dict[str, Any]:
    """Read which extensions of IPython are loaded."""
    facts: dict[str, Any] = {"loaded": sorted(shell.extension_manager.loaded)}
    magics = shell.magics_manager.registry.get("AutoreloadMagics")
    reloader = getattr(magics, "_reloader", None)
    if reloader is not None:
        facts["autoreload"] = {
            "enabled": reloader.enabled,
            "check_all": reloader.check_all,
            "autoload_obj": getattr(reloader, "autoload_obj", False),
        }
    return facts


def write_extensions(shell: Any, facts: dict[str, Any]) -> None:
    """Load the extensions that are missing; what they print is not shown again."""
    with contextlib.redirect_stdout(io.StringIO()):
        for name in facts["loaded"]:
            if name not in shell.extension_manager.loaded:
                attempt(shell.extension_manager.load_extension, name)
    magics = shell.magics_manager.registry.get("AutoreloadMagics")
    reloader = getattr(magics, "_reloader", None)
    if reloader is not None and "autoreload" in facts:
        for name, value in facts["autoreload"].items():
            setattr(reloader, name, value)


def read_limits(_shell: Any) -> dict[str, Any]:
    """Read the limit of recursion and the precision of decimals."""
    facts: dict[str, Any] = {"recursion": sys.getrecursionlimit()}
    if "decimal" in sys.modules:
        facts["decimal"] = sys.modules["decimal"].getcontext()
    return facts


def write_limits(_shell: Any, facts: dict[str, Any]) -> None:
    """Set the limit of recursion, never below what the kernel has, and decimals' precision."""
    sys.setrecursionlimit(max(facts["recursion"], sys.getrecursionlimit()))
    if "decimal" in facts:
        import decimal

        decimal.setcontext(facts["decimal"])


def read_history(shell: Any) -> dict[str, Any]:
    """Read the inputs, the counter, and which outputs the underscores are."""
    manager = shell.history_manager
    outputs = shell.user_ns["Out"]
    names = [
        name
        for name in UNDERSCORES
        if shell.user_ns_hidden.get(name) is shell.user_ns.get(name, shell)
    ]
    underscores = {
        name: [number for number, value in outputs.items() if value is shell.user_ns[name]]
        for name in names
    }
    return {
        "parsed": list(manager.input_hist_parsed),
        "raw": list(manager.input_hist_raw),
        "directories": [str(each) for each in shell.user_ns.get("_dh", ())],
        "count": shell.execution_count,
        "underscores": {name: found[-1] for name, found in underscores.items() if found},
    }


def write_history(shell: Any, facts: dict[str, Any]) -> None:
    """Write the inputs, the counter and the names for both."""
    manager, namespace = shell.history_manager, shell.user_ns
    manager.input_hist_parsed[:] = facts["parsed"]
    manager.input_hist_raw[:] = facts["raw"]
    raw = facts["raw"]
    names = {f"_i{number}": text for number, text in enumerate(raw) if number}
    for name, place in (("_i", -1), ("_ii", -2), ("_iii", -3)):
        names[name] = raw[place] if len(raw) + place > 0 else ""
    manager._i00 = raw[-1] if len(raw) > 1 else ""  # noqa: SLF001
    manager._i, manager._ii, manager._iii = (  # noqa: SLF001
        names["_i"], names["_ii"], names["_iii"],
    )  # fmt: skip
    shell.execution_count = facts["count"]
    if "_dh" in namespace:
        namespace["_dh"][:] = [type(namespace["_dh"][0])(each) for each in facts["directories"]]
    for name, number in facts["underscores"].items():
        if number in namespace["Out"]:
            names[name] = namespace["Out"][number]
            setattr(shell.displayhook, name, names[name])
    # As IPython does it: hidden, or it would take them for variables and change them no more.
    shell.push(names, interactive=False)


def read_matplotlib(_shell: Any) -> dict[str, Any] | None:
    """Read matplotlib's settings that are not the defaults."""
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParams"):
        return None
    defaults = matplotlib.rcParamsDefault
    names = [
        name for name in matplotlib.rcParams if not name.startswith(("backend", "interactive"))
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {name: matplotlib.rcParams[name] for name in names}
        changed = {name: value for name, value in found.items() if defaults.get(name) != value}
    return changed or None


def write_matplotlib(_shell: Any, facts: dict[str, Any]) -> None:
    """Change matplotlib's settings in the same way."""
    import matplotlib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcParams.update(facts)


def read_pandas(_shell: Any) -> dict[str, Any] | None:
    """Read pandas' options that are not the defaults."""
    config = sys.modules.get("pandas._config.config")
    if config is None:
        return None
    registered: dict[str, Any] = config._registered_options  # noqa: SLF001 - has no other list
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {name: config.get_option(name) for name in registered}
    changed = {name: value for name, value in found.items() if registered[name].defval != value}
    return changed or None


def write_pandas(_shell: Any, facts: dict[str, Any]) -> None:
    """Change pandas' options in the same way."""
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in facts.items():
            attempt(pandas.set_option, name, value)


def read_numpy(_shell: Any) -> dict[str, Any] | None:
    """Read how numpy prints and what it does about errors."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not hasattr(numpy, "get_printoptions"):
        return None
    options = numpy.get_printoptions()
    options.pop("override_repr", None)
    return {"print": options, "errors": numpy.geterr()}


def write_numpy(_shell: Any, facts: dict[str, Any]) -> None:
    """Set how numpy prints and what it does about errors."""
    import numpy

    numpy.set_printoptions(**facts["print"])
    numpy.seterr(**facts["errors"])


def read_random(_shell: Any) -> dict[str, Any]:
    """Read the states of the global random generators."""
    facts: dict[str, Any] = {"python": random.getstate()}
    if "numpy.random" in sys.modules:
        facts["numpy"] = sys.modules["numpy.random"].get_state()
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        facts["torch"] = bytes(torch.get_rng_state().tolist())
        if torch.cuda.is_initialized():
            facts["cuda"] = [bytes(state.tolist()) for state in torch.cuda.get_rng_state_all()]
    return facts


def write_random(_shell: Any, facts: dict[str, Any]) -> None:
    """Set the states of the global random generators."""
    random.setstate(facts["python"])
    if "numpy" in facts:
        import numpy

        numpy.random.set_state(facts["numpy"])
    if "torch" in facts:
        import torch

        torch.set_rng_state(torch.tensor(list(facts["torch"]), dtype=torch.uint8))
        states = [torch.tensor(list(each), dtype=torch.uint8) for each in facts.get("cuda", ())]
        if states and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(states[: torch.cuda.device_count()])


def read_warnings(_shell: Any) -> dict[str, Any]:
    """Read the filters of warnings."""
    return {"filters": list(warnings.filters)}


def write_warnings(_shell: Any, facts: dict[str, Any]) -> None:
    """Set the filters of warnings."""
    warnings.filters[:] = facts["filters"]  # type: ignore[index]
    changed = getattr(warnings, "_filters_mutated", None)
    if changed is not None:
        changed()
