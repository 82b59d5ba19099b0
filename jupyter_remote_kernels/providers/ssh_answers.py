"""What the far side has refused, in words for the user. Does not need asyncssh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.providers.ssh_command import describe_step
from jupyter_remote_kernels.providers.ssh_options import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_WORDS = 300
# The shell found no Python to go on with.
NO_PYTHON = frozenset(
    {
        "python_missing",
        "python_too_old",
        "venv_missing",
        "conda_missing",
        "conda_failed",
        "module_failed",
        "prelude_failed",
    }
)


# By reason: what happened and what to do, with fields that ``explain`` fills.
_TEXTS = {
    "python_missing": (
        "the host {host} has no {python}",
        "Name an interpreter with the option 'python', or make one known with 'prelude',"
        " 'modules', 'conda' or 'venv'.",
    ),
    "python_too_old": (
        "{python} on the host {host} is Python {version}, which is too old",
        "Name a Python of at least 3.9 with the option 'python'.",
    ),
    "platform_not_supported": (
        "the host {host} runs {platform}",
        "Kernels over SSH need Linux there.",
    ),
    "ipykernel_missing": (
        "{python} on the host {host} lacks: {modules}",
        "Install it there: {python} -m pip install ipykernel",
    ),
    "disk_full": (
        "there is no space on the host {host}: {words} ({path})",
        "Make space there, or name another place with the option 'directory'.",
    ),
    "directory_not_writable": (
        "nothing can be written on the host {host}: {words} ({path})",
        "Name another place with the option 'directory'.",
    ),
    "cwd_missing": (
        "there is no directory {path} on the host {host}",
        "Correct the option 'cwd'.",
    ),
    "venv_missing": (
        "there is no virtual environment {venv} on the host {host}",
        "Correct the option 'venv'.",
    ),
    "conda_missing": (
        "conda was not found on the host {host}",
        "Make it known with the option 'prelude'.",
    ),
    "conda_failed": (
        "the conda environment {conda} could not be activated on the host {host}: {words}",
        "Correct the option 'conda'.",
    ),
    "module_failed": (
        "{step!r} failed on the host {host}: {words}",
        "Run 'module avail' there to see what there is.",
    ),
    "prelude_failed": (
        "a line of the prelude failed on the host {host}: {step!r}: {words}",
        "Run it there yourself.",
    ),
    "stop_failed": (
        "processes on the host {host} could not be ended: {pids}",
        "They may belong to another user, or hang in the operating system.",
    ),
}
_OTHERWISE = (
    "a command on the host {host} failed: {words}",
    "Check that this prints a version: ssh {host} {python} --version",
)


def explain(answer: Mapping[str, Any], options: Mapping[str, Any]) -> ProviderError:
    """Return what to tell the user when the far side has refused.

    Parameters
    ----------
    answer : mapping
        What it has said; ``reason`` and more.
    options : mapping
        Of the environment.
    """
    reason = str(answer["reason"])
    told = {key: str(value) for key, value in answer.items()}
    told["words"] = (told.get("words") or "it printed nothing")[:_LONGEST_WORDS]
    for key in ("modules", "pids"):
        told[key] = ", ".join(map(str, answer.get(key) or ()))
    fields = {
        "python": "python3",
        "path": options.get("directory") or DIRECTORY,
        "version": "",
        "platform": "",
        "venv": "",
        "conda": "",
        **options,
        **told,
        "step": describe_step(options, told.get("step", "")),
    }
    message, hint = _TEXTS.get(reason, _OTHERWISE)
    return ProviderError(message.format(**fields), reason=reason, hint=hint.format(**fields))


def asyncssh_missing() -> ProviderError:
    """Return what to tell the user who has not installed the extra."""
    return ProviderError(
        "the provider 'ssh' needs the package asyncssh",
        reason="asyncssh_missing",
        hint="Install it: pip install 'jupyter_remote_kernels[ssh]'.",
    )
