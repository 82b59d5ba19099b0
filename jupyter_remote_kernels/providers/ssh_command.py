"""What is run on a host over SSH: one command line, and everything else on its standard input.

The command line is always the same and holds nothing of the user's. It reads a shell script from
its standard input, up to a mark: prelude, conda, modules. That script becomes a Python, which
reads the rest: an archive with the far side of this package and a request in JSON. The answer is
one line that begins with a mark, since a shell's start file may print what it likes.
"""

from __future__ import annotations

import importlib.util
import io
import json
import shlex
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyter_remote_kernels
from jupyter_remote_kernels.protocol.nursery import LABEL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARK = "\x1ejupyter-remote-kernels "
_END = "#go"
# The login shell may be any; in single quotes this means the same to all of them.
_READ_SCRIPT = (
    's=; n=$(printf "\\n."); n=${n%.}; '
    'while IFS= read -r l; do [ "$l" = "' + _END + '" ] && break; s=$s$l$n; done; eval "$s"'
)
# What the far side needs, below the package's folder.
_PARTS = (
    "*.py",
    "agent/*.py",
    "exchange/*.py",
    "exchange/*.R",
    "protocol/*.py",
    "state/*.py",
    "providers/__init__.py",
    "providers/far.py",
    "providers/process_table.py",
)
# Others' packages that travel along: the agent sends them into the kernel from there.
_OTHERS = ("cloudpickle",)
_SHORT_PARTS = (
    "__init__.py",
    "errors.py",
    "protocol/__init__.py",
    "protocol/nursery.py",
    "protocol/settings.py",
    "providers/__init__.py",
    "providers/far.py",
    "providers/process_table.py",
)
# Says that the script runs, whatever becomes of it.
_HELLO = "printf '\\n\\036jupyter-remote-kernels {}\\n'"
# Understood by every Python since 2.6, so that an old one can say how old it is.
_PREAMBLE = """
import sys
def tell(text):
    sys.stdout.write("\\n" + MARK + text + "\\n")
    sys.stdout.flush()
if sys.version_info < (3, 9):
    tell('{"reason": "python_too_old", "version": "%d.%d.%d"}' % tuple(sys.version_info[:3]))
    sys.exit(0)
if not sys.platform.startswith("linux"):
    tell('{"reason": "platform_not_supported", "platform": "%s"}' % sys.platform)
    sys.exit(0)
import json, os, tempfile
if sys.path[:1] == [""]:
    del sys.path[0]
data = sys.stdin.buffer
archive_size, request_size = json.loads(data.readline() or b"[0, 1]")
archive, request = data.read(archive_size), data.read(request_size)
if len(request) < request_size:
    sys.exit(1)
if hasattr(os, "memfd_create"):
    file = os.fdopen(os.memfd_create("jupyter-remote-kernels"), "w+b")
else:
    file = tempfile.TemporaryFile()
file.write(archive)
file.flush()
sys.path.insert(0, "/proc/self/fd/%d" % file.fileno())
from jupyter_remote_kernels.providers import far
tell(json.dumps(far.answer(json.loads(request), file.fileno())))
sys.stderr.flush()
os._exit(0)
"""
_PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(9, 16)), "/usr/bin/python3")
_FIND_CONDA = """
case "$(command -v conda)" in
  /*) eval "$(conda shell.posix hook)" </dev/null ;;
  "") for d in "$HOME/miniforge3" "$HOME/mambaforge" "$HOME/miniconda3" "$HOME/anaconda3" \\
        /opt/conda /opt/miniforge3 /opt/miniconda3 /opt/anaconda3; do
        if [ -f "$d/etc/profile.d/conda.sh" ]; then . "$d/etc/profile.d/conda.sh"; break; fi
      done ;;
esac
command -v conda >/dev/null || refuse conda_missing
"""


def make_command(options: Mapping[str, Any]) -> str:
    """Return the command line for a host.

    Parameters
    ----------
    options : mapping
        Of the environment; what needs the functions of a login shell gets one.
    """
    needs_login = any(options.get(key) for key in ("prelude", "modules", "conda"))
    shell = "/bin/bash -l" if needs_login else "/bin/sh"
    return f"exec {shell} -c '{_READ_SCRIPT}'"


def make_script(options: Mapping[str, Any], label: str | None = None) -> str:
    """Return the shell script that makes the environment ready and becomes a Python.

    Parameters
    ----------
    options : mapping
        Of the environment.
    label : str, optional
        A mark for all processes from here on, by which the job can be found and stopped while
        the script still runs.
    """
    lines = [
        _HELLO,
        'refuse() { printf \'\\n\\036jupyter-remote-kernels {"reason": "%s", "step": "%s"}\\n\''
        ' "$1" "$2"; exit 0; }',
    ]
    if label is not None:
        lines.append(f"export {LABEL_VARIABLE}={shlex.quote(label)}")
    for number, (line, reason) in enumerate(_steps(options)):
        # What the user runs must not eat our input, and its output is not our answer.
        lines.append(f"eval {shlex.quote(line)} </dev/null >&2 || refuse {reason} {number}")
    if options.get("conda"):
        lines += [
            _FIND_CONDA,
            f"conda activate {_path(options['conda'])} </dev/null >&2 || refuse conda_failed",
        ]
    if options.get("venv"):
        activate = _path(f"{options['venv'].rstrip('/')}/bin/activate")
        lines += [f"[ -f {activate} ] || refuse venv_missing", f". {activate}"]
    usual = "python" if options.get("conda") or options.get("venv") else "python3"
    preamble = f"MARK = {MARK!r}\n{_PREAMBLE}"
    lines += [
        f"p={_path(options.get('python') or usual)}",
        'command -v "$p" >/dev/null 2>&1 || refuse python_missing',
        f'exec "$p" -c {shlex.quote(preamble)}',
    ]
    return "\n".join(lines)


def make_short_script(options: Mapping[str, Any], pythons: Sequence[str] = ()) -> str:
    """Return a script that becomes the first Python that is there and of use.

    It runs nothing of the user's, which may take long or hang.

    Parameters
    ----------
    options : mapping
        Of the environment.
    pythons : sequence of str
        Interpreters that have run jobs.
    """
    named = [options["python"]] if options.get("python") else []
    if options.get("venv"):
        named.append(f"{options['venv'].rstrip('/')}/bin/python")
    # One that was removed since its job has started must not hide the job.
    candidates = " ".join(_path(python) for python in (*pythons, *named, *_PYTHONS))
    preamble = shlex.quote(f"MARK = {MARK!r}\n{_PREAMBLE}")
    is_of_use = "import sys; sys.exit(sys.version_info < (3, 9))"
    return (
        f"for p in {candidates}; do "
        f'if "$p" -c \'{is_of_use}\' </dev/null >/dev/null 2>&1; then exec "$p" -c {preamble}; fi; '
        "done\n"
        'printf \'\\n\\036jupyter-remote-kernels {"reason": "python_missing"}\\n\''
    )


def make_search_script(base: str, label: str) -> str:
    """Return a script for a host on which no Python of ours was found.

    It removes the directory of a job that does not run, and says when one does.
    """
    mark = shlex.quote(f"{LABEL_VARIABLE}={label}")
    return (
        f"if cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -qxF {mark}; then\n"
        'printf \'\\n\\036jupyter-remote-kernels {"reason": "python_missing"}\\n\'; exit 0; fi\n'
        f"rm -rf {_path(base)}/{shlex.quote(label)}\n"
        "printf '\\n\\036jupyter-remote-kernels {\"job\": null}\\n'"
    )


def make_read_command(base: str, label: str, name: str) -> str:
    """Return the command that writes a file of a job to its standard output."""
    path = f"{_path(base)}/{shlex.quote(label)}/{shlex.quote(name)}"
    return f"exec /bin/sh -c {shlex.quote(f'exec cat {path}')}"


def describe_step(options: Mapping[str, Any], step: str) -> str:
    """Return the user's own words for a step of the script that has failed."""
    steps = _steps(options)
    return steps[int(step)][0] if step.isdigit() and int(step) < len(steps) else ""


def make_input(script: str, request: Mapping[str, Any], *, with_agent: bool) -> bytes:
    """Return everything that goes to the command's standard input."""
    archive = make_archive(_PARTS, _OTHERS) if with_agent else make_archive(_SHORT_PARTS)
    body = json.dumps(dict(request)).encode()
    sizes = json.dumps([len(archive), len(body)])
    return b"".join((f"{script}\n{_END}\n{sizes}\n".encode(), archive, body))


def read_answer(output: str) -> dict[str, Any] | None:
    """Return the answer in a command's output.

    Returns
    -------
    dict or None
        Empty when the script has begun and not answered; None when it has not even begun.
    """
    _, mark, rest = output.rpartition(MARK)
    if not mark:
        return None
    try:
        answer = json.loads(rest.partition("\n")[0])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


@cache
def make_archive(parts: tuple[str, ...], others: tuple[str, ...] = ()) -> bytes:
    """Return a zip archive from which Python can import.

    Parameters
    ----------
    parts : tuple of str
        Patterns of files below this package's folder.
    others : tuple of str
        Other packages, whole; only those without subpackages.
    """
    folder = Path(jupyter_remote_kernels.__file__).parent
    paths = {path for part in parts for path in folder.glob(part)}
    for name in others:
        spec = importlib.util.find_spec(name)
        for place in (spec and spec.submodule_search_locations) or ():
            paths.update(Path(place).glob("*.py"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            package = folder if folder in path.parents else path.parent
            archive.writestr(f"{package.name}/{path.relative_to(package)}", path.read_bytes())
    return buffer.getvalue()


def _steps(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the user's lines with the reason to give when one fails."""
    prelude = options.get("prelude") or []
    lines = [prelude] if isinstance(prelude, str) else list(prelude)
    steps = [(line, "prelude_failed") for line in lines]
    modules = [f"module load {shlex.quote(module)}" for module in options.get("modules") or ()]
    return steps + [(line, "module_failed") for line in modules]


def _path(path: str) -> str:
    """Quote a path for a shell, with a leading ``~`` as the home on the far side."""
    if path == "~":
        return '"$HOME"'
    if path.startswith("~/"):
        return f'"$HOME"/{shlex.quote(path[2:])}'
    return shlex.quote(path)
