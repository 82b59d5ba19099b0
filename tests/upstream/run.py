"""Run the test suites of jupyter_client and jupyter_server with our classes in place of theirs.

The source archives of the versions that are installed are fetched once, unpacked below
``.cache/upstream``, and the package folder in them is renamed, so that the installed package is
what is tested. A test that passes with the stock classes and fails with ours fails this run,
unless ``exceptions.toml`` names it with its cause.

The par, what passes with the stock classes, is kept in ``par.json`` for one set of versions.
With other versions installed it is measured again first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "upstream"
PAR = HERE / "par.json"
EXCEPTIONS = HERE / "exceptions.toml"

# jupyter_server 2.x turns warnings into errors and tornado 6.6 deprecates what it uses.
# The mark `flaky` belongs to a plugin that runs failures again; this file does so for all tests.
_SERVER_OPTIONS = ("-o", "filterwarnings=default", "-o", "markers=flaky")
_OUR_PROVISIONER = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "remote-kernels"}
_LAST_WORDS_S = 20.0
_ONE_TEST_S = 60.0
_SUITE_S = 900.0
_SERVER_TESTS = (
    "tests/services/kernels",
    "tests/services/sessions",
    "tests/services/kernelspecs",
    "tests/test_gateway.py",
)


@dataclass(frozen=True)
class Suite:
    """Some test files of one upstream package and how our classes get into them."""

    name: str
    package: str
    tests: tuple[str, ...]
    what: str
    options: tuple[str, ...] = ()
    plugin: str = ""
    environment: dict[str, str] = field(default_factory=dict)


SUITES = (
    Suite(
        name="client",
        package="jupyter_client",
        tests=(
            "tests/test_kernelmanager.py",
            "tests/test_multikernelmanager.py",
            "tests/test_provisioning.py",
            "tests/test_restarter.py",
        ),
        what="every kernel through our provisioner, our multi kernel manager",
        plugin="our_client_classes",
        environment=_OUR_PROVISIONER,
    ),
    Suite(
        name="client-local",
        package="jupyter_client",
        tests=("tests/test_multikernelmanager.py",),
        what="ordinary local kernels through our multi kernel manager",
        plugin="our_client_classes",
    ),
    Suite(
        name="server",
        package="jupyter_server",
        tests=_SERVER_TESTS,
        what="ordinary local kernels through our mapping kernel manager and websocket",
        options=_SERVER_OPTIONS,
        plugin="our_server_classes",
    ),
    Suite(
        name="server-remote",
        package="jupyter_server",
        tests=_SERVER_TESTS,
        what="every kernel through our provisioner, kernel manager and websocket",
        options=_SERVER_OPTIONS,
        plugin="our_server_classes",
        environment=_OUR_PROVISIONER,
    ),
)


def fetch(package: str) -> Path:
    """Return the unpacked source of the installed version, its package folder renamed."""
    number = version(package)
    source = CACHE / f"{package}-{number}"
    if (source / "tests").is_dir():
        return source
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(CACHE), f"{package}=={number}"]
    subprocess.run(command, check=True)
    archive = next(CACHE.glob(f"{package}-{number}.tar.gz"))
    unpacked = CACHE / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as tar:
        if sys.version_info >= (3, 12):
            tar.extractall(unpacked, filter="data")
        else:
            tar.extractall(unpacked)  # noqa: S202 - the archive is the installed package's own source
    folder = next(unpacked.iterdir())
    (folder / package).rename(folder / f"{package}.hidden")
    shutil.rmtree(source, ignore_errors=True)
    folder.rename(source)
    return source


def run_suite(
    suite: Suite,
    *,
    stock: bool,
    tests: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    limit_s: float = _SUITE_S,
) -> dict[str, str]:
    """Run one suite, or some tests of it, in a process of its own; return test id → outcome."""
    source = fetch(suite.package)
    kind = "stock" if stock else "ours"
    outcomes = CACHE / f"outcomes-{suite.name}-{kind}.json"
    log = CACHE / f"log-{suite.name}-{kind}.txt"
    outcomes.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "pytest_timeout", "-p", "record_outcomes"]
    command += [*suite.options, "--color=no", "-q"]
    # Upstream's choice, "thread", ends the whole process at the first test that hangs.
    command += ["-o", "timeout_method=signal"]
    # Plugins of this environment that upstream does not ask for must not change its tests.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["UPSTREAM_OUTCOMES"] = str(outcomes)
    environment["PYTHONPATH"] = str(HERE)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not stock:
        environment |= suite.environment
        if suite.plugin:
            command += ["-p", suite.plugin]
    command += [f"--deselect={test}" for test in without]
    command += tests or suite.tests
    started = time.monotonic()
    with log.open("w" if not tests else "a", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command, cwd=source, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        _wait(process, outcomes, limit_s)
    if not outcomes.exists():
        if tests and process.returncode < 0:
            return {}  # it hung, which is not passing
        raise SystemExit(f"{suite.name}: pytest did not finish ({process.returncode}), see {log}")
    found: dict[str, str] = json.loads(outcomes.read_text(encoding="utf-8"))
    counts = ", ".join(f"{n} {what}" for what, n in sorted(_count(found).items()))
    print(f"  {suite.name} ({kind}): {counts} in {time.monotonic() - started:.0f} s", flush=True)
    return found


def _wait(process: subprocess.Popen[bytes], outcomes: Path, limit_s: float) -> None:
    """Wait for pytest; end it when it hangs although its outcomes are written, or for too long.

    A test that fails leaves sockets open, and ZMQ then waits for them: at the end of the
    process, or when the manager that it belongs to is collected.
    """
    deadline_s = time.monotonic() + limit_s
    while process.poll() is None:
        try:
            process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            if outcomes.exists() and time.time() - outcomes.stat().st_mtime > _LAST_WORDS_S:
                process.terminate()
            elif time.monotonic() > deadline_s:
                # Not SIGTERM: it waits inside ZMQ, where Python's handlers are not called.
                process.kill()


def _count(outcomes: dict[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for outcome in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def versions() -> dict[str, str]:
    """Return the installed versions that decide what passes with the stock classes."""
    names = ("jupyter_client", "jupyter_server", "ipykernel", "tornado", "pyzmq")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **{name: version(name) for name in names}}


def measure_par(path: Path) -> dict[str, list[str]]:
    """Run every upstream file once with the stock classes and write what passes."""
    passed: dict[str, set[str]] = {}
    measured: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    # The suite with most files comes first, so that a part of it is not run a second time.
    for suite in sorted(SUITES, key=lambda each: -len(each.tests)):
        for (package, tests), known in measured.items():
            if package == suite.package and set(suite.tests) <= set(tests):
                passed[suite.name] = {t for t in known if t.startswith(suite.tests)}
                break
        else:
            outcomes = run_suite(suite, stock=True)
            good = {test for test, outcome in outcomes.items() if outcome == "passed"}
            measured[suite.package, suite.tests] = passed[suite.name] = good
    par = {name: sorted(tests) for name, tests in sorted(passed.items())}
    document = {"versions": versions(), "passed": par}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return par


def load_par() -> dict[str, list[str]]:
    """Return the par for the installed versions, measured now where the kept one is of others."""
    now = versions()
    label = "-".join(now.values())
    for path in (PAR, CACHE / f"par-{label}.json"):
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["versions"] == now:
                return dict(document["passed"])
    print("other versions than in par.json are installed: first the stock classes", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    return measure_par(CACHE / f"par-{label}.json")


def load_exceptions() -> dict[tuple[str, str], bool]:
    """Return (suite, test id) → whether it has to fail; the others depend on the moment."""
    document: dict[str, Any] = tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))
    return {
        (suite, test): not entry.get("varies", False)
        for entry in document.get("exception", [])
        for suite in entry["suites"]
        for test in entry["tests"]
    }


def check(suite: Suite, par: list[str], exceptions: dict[tuple[str, str], bool]) -> list[str]:
    """Run a suite with our classes; return what went wrong, one line each."""
    excepted = tuple(sorted(test for name, test in exceptions if name == suite.name))
    # A test that fails leaves sockets behind, which the next one is blamed for.
    outcomes = run_suite(suite, stock=False, without=excepted)
    missed = sorted(t for t in par if outcomes.get(t) != "passed" and t not in excepted)
    if missed:
        # Upstream has tests that race with their own kernels. One more try, alone, tells.
        again = _run_each(suite, missed)
        for test in missed:
            if again.get(test) == "passed":
                print(f"  passed at the second try only: {test}", flush=True)
        missed = [test for test in missed if again.get(test) != "passed"]
    problems = [f"{suite.name}: passes with the stock classes only: {test}" for test in missed]
    alone = _run_each(suite, (test for test in excepted if exceptions[suite.name, test]))
    recovered = [test for test in excepted if alone.get(test) == "passed"]
    return problems + [f"{suite.name}: excepted, but passes: {test}" for test in recovered]


def _run_each(suite: Suite, tests: Iterable[str]) -> dict[str, str]:
    """Run tests, each in a process of its own: what one leaves behind can stop the next."""
    outcomes: dict[str, str] = {}
    for test in tests:
        outcomes |= run_suite(suite, stock=False, tests=(test,), limit_s=_ONE_TEST_S)
    return outcomes


def main() -> int:
    """Run what the command line asks for; 0 when everything that must pass passes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("suites", nargs="*", help="only these; all otherwise", metavar="SUITE")
    parser.add_argument("--par", action="store_true", help="measure par.json again and stop")
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    options = parser.parse_args()
    if options.list:
        for suite in SUITES:
            print(f"{suite.name:14} {suite.what}")
        return 0
    if options.par:
        measure_par(PAR)
        return 0
    unknown = set(options.suites) - {suite.name for suite in SUITES}
    if unknown:
        parser.error(f"unknown suite: {', '.join(sorted(unknown))}")
    par = load_par()
    exceptions = load_exceptions()
    problems: list[str] = []
    for suite in SUITES:
        if not options.suites or suite.name in options.suites:
            problems += check(suite, par[suite.name], exceptions)
    for line in problems:
        print(line)
    print(
        "upstream suites: as with the stock classes" if not problems else "upstream suites: FAILED"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
