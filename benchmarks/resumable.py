"""What the resumable protocol costs, beside the plain one: pairs of runtimes of one process.

One of both links offers the plain protocol only; all else is the same. They take turns cell by
cell. Of two equal runtimes the one that was launched later is slower by some percent, so there are
several pairs, and who is launched first changes too. With ``--gigabyte`` instead: what an agent
needs while its link is away, and how much of the output arrives when it is back.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from benchmarks.proxy import Proxy
from benchmarks.report import (
    percentile,
    print_table,
    ratio_per_round,
    summarise,
    write_result,
)
from benchmarks.runtime import Runtime, running_plane
from benchmarks.throughput import Case, make_cases
from jupyter_remote_kernels.model.endpoints import Endpoint
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.testing.doubles import installed

if TYPE_CHECKING:
    from collections.abc import Mapping

BAR = 1.05
_AWAY_BAR_BYTES = 64 * 1024 * 1024
_LOOK_EVERY_S = 0.02
_QUIET_S = 1.0
# How fine processor time of another process is told.
_TICK_S = 0.01
_LIMIT_S = 300.0
# A megabyte a piece; ipykernel puts out each of them as one message.
_GIGABYTE = "import sys\nfor _ in range({}):\n    sys.stdout.write('x' * 2**20); sys.stdout.flush()"
_DONE = "\nopen({!r}, 'w').close()"
Runtimes = dict[str, Runtime]
Times = dict[str, list[float]]


class ProxyProvider(LocalProvider):
    """Jobs of this machine, whose agents are reached through a proxy."""

    name = "proxied"

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._proxies: dict[int, Proxy] = {}

    async def endpoint(self, checkpoint: Mapping[str, Any]) -> Endpoint:
        """Tell where the proxy of an agent is."""
        real = await super().endpoint(checkpoint)
        port = urlsplit(real.url).port or 0
        if port not in self._proxies:
            self._proxies[port] = self._stack.enter_context(Proxy(port))
        return Endpoint(f"http://127.0.0.1:{self._proxies[port].port}", token=real.token)

    def set_mode(self, mode: str) -> None:
        """Change what becomes of connections."""
        for proxy in self._proxies.values():
            proxy.set_mode(mode)

    def end_proxies(self) -> None:
        """End all proxies."""
        self._stack.close()


class Costs:
    """Processor time of this process and of an agent: less noisy than the clock."""

    def __init__(self, runtime: Runtime) -> None:
        self._agent = psutil.Process(runtime.agent_pid)
        self._before = self._read()

    def read(self) -> tuple[float, float]:
        """Return the seconds that this process and the agent have used."""
        server, agent = self._read()
        return server - self._before[0], agent - self._before[1]

    def _read(self) -> tuple[float, float]:
        times = self._agent.cpu_times()
        return time.process_time(), times.user + times.system


def measure_roundtrip(runtimes: Runtimes, count: int) -> dict[str, Times]:
    """Send ``pass`` to each in turn; returns seconds to the reply and to idle."""
    times: dict[str, Times] = {name: {"reply": [], "idle": []} for name in runtimes}
    for number in range(count):
        for name in in_turn(runtimes, number):
            started = time.perf_counter()
            cell = runtimes[name].run("pass", cell="one")
            times[name]["reply"].append(cell.reply_s - started)
            times[name]["idle"].append(cell.idle_s - started)
    return times


def measure_output(runtimes: Runtimes, case: Case, rounds: int) -> dict[str, Times]:
    """Run a case on each in turn; returns seconds until all has come, and processor seconds."""
    times: dict[str, Times] = {n: {"all": [], "server": [], "agent": []} for n in runtimes}
    for number in range(rounds):
        for name in in_turn(runtimes, number):
            runtime = runtimes[name]
            costs = Costs(runtime)
            started = time.perf_counter()
            cell = runtime.run(case.code, cell="one", keeps=True)
            server_s, agent_s = costs.read()
            check(case, [unpack(output) for output in cell.outputs])
            times[name]["all"].append(cell.output_s - started)
            times[name]["server"].append(server_s)
            times[name]["agent"].append(max(agent_s, _TICK_S))
    return times


def in_turn(runtimes: Runtimes, number: int) -> list[str]:
    """Return the names; who begins changes each time."""
    names = list(runtimes)
    return names if number % 2 else names[::-1]


def check(case: Case, outputs: list[dict[str, Any]]) -> None:
    """Stop when anything is missing: a fast loss is no result."""
    texts = [o["text"] if "text" in o else o["data"]["text/plain"] for o in outputs]
    if case.unit == "lines":
        assert "".join(texts).split() == [str(number) for number in range(case.expected)]
    else:
        assert sum(map(len, texts)) == case.expected


def add(times: dict[str, dict[str, Times]], measure: str, more: dict[str, Times]) -> None:
    """Put the seconds of one pair to those of the others."""
    for name, steps in more.items():
        for step, seconds in steps.items():
            times.setdefault(measure, {}).setdefault(name, {}).setdefault(step, []).extend(seconds)


def report(times: dict[str, dict[str, Times]]) -> None:
    """Print a table and write the JSON."""
    rows = []
    for measure, by_name in times.items():
        for step in by_name["plain"]:
            plain, resumable = by_name["plain"][step], by_name["resumable"][step]
            medians = [statistics.median(plain), statistics.median(resumable)]
            per_round = ratio_per_round(resumable, plain)
            # What other work on this machine disturbs least.
            best = percentile(resumable, 0.1) / percentile(plain, 0.1)
            ratio = medians[1] / medians[0]
            rows.append([f"{measure}: {step}", *medians, ratio, per_round, best])
    head = ["seconds, medians", "plain", "resumable", "ratio", "per round", "of best tenths"]
    print_table(f"resumable beside plain; the bar is {BAR}", head, rows)
    summaries = {
        measure: {name: {s: summarise(v) for s, v in each.items()} for name, each in both.items()}
        for measure, both in times.items()
    }
    write_result("resumable", {"bar": BAR, "rows": rows, "measures": summaries})


# -- an agent whose link is away ----------------------------------------------


def watch_memory(pid: int, is_over: Path) -> tuple[int, int, int]:
    """Watch an agent until its kernel has written a file and nothing more is spilled.

    Returns
    -------
    tuple of int
        Largest resident and proportional set size, and what lies in its nameless files, in bytes.
    """
    process = psutil.Process(pid)
    resident = proportional = spilled = 0
    changed_s = started_s = time.monotonic()
    # The kernel may be far ahead of the agent: its own memory holds what was not read yet.
    while not is_over.exists() or time.monotonic() - changed_s < _QUIET_S:
        assert time.monotonic() - started_s < _LIMIT_S, "the kernel did not come to its end"
        memory = process.memory_full_info()
        resident, proportional = max(resident, memory.rss), max(proportional, memory.pss)
        before, spilled = spilled, spilled_bytes(pid)
        if spilled != before:
            changed_s = time.monotonic()
        time.sleep(_LOOK_EVERY_S)
    return resident, proportional, spilled


def spilled_bytes(pid: int) -> int:
    """Return how much lies in files that have no name any more."""
    total = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(descriptor).endswith("(deleted)"):
                total += descriptor.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # the one with which the directory is read
    return total


def measure_away(folder: Path, megabytes: int) -> dict[str, Any]:
    """Let a kernel put out much while its link is away; returns what that has cost."""
    provider = ProxyProvider()
    done = folder / "done"
    with installed(provider), running_plane(folder) as plane:
        runtime = Runtime(plane, provider.name)
        try:
            pid = runtime.agent_pid
            before = psutil.Process(pid).memory_full_info()
            cell = runtime.begin(_GIGABYTE.format(megabytes) + _DONE.format(str(done)), cell="one")
            assert cell.began.wait(_LIMIT_S)
            provider.set_mode("cut")
            resident, proportional, spilled = watch_memory(pid, done)
            provider.set_mode("open")
            started = time.perf_counter()
            assert cell.ended.wait(_LIMIT_S), "not everything was delivered"
            seconds = cell.output_s - started
            result = {
                "output_bytes": megabytes * 2**20,
                "delivered_bytes": cell.output_bytes,
                "resident_growth_bytes": resident - before.rss,
                "proportional_growth_bytes": proportional - before.pss,
                "spilled_bytes": spilled,
                "spilled_after_bytes": spilled_bytes(pid),
                "delivery_s": seconds,
            }
        finally:
            provider.set_mode("open")
            runtime.stop()
            provider.end_proxies()
    return result


def report_away(result: dict[str, Any]) -> None:
    """Print a table and write the JSON."""
    rows = [[key, value if key.endswith("_s") else value / 2**20] for key, value in result.items()]
    print_table("while the link was away, MiB", ["what", "value"], rows)
    write_result("resumable-away", {"bar_bytes": _AWAY_BAR_BYTES, **result})


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=6, help="an even number")
    parser.add_argument("--roundtrips", type=int, default=300, help="of each pair")
    parser.add_argument("--rounds", type=int, default=6, help="of each pair")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--gigabyte", action="store_true", help="output while the link is away")
    options = parser.parse_args()
    # Without compiled modules everything that starts would be measured too slow.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        os.environ["JUPYTER_DATA_DIR"] = os.environ["IPYTHONDIR"] = str(folder)
        if options.gigabyte:
            report_away(measure_away(folder, 1024))
            return
        times: dict[str, dict[str, Times]] = {}
        cases = make_cases(options.lines, options.megabytes)
        for number in range(options.pairs):
            with running_plane(folder / str(number)) as plane:
                names = ("plain", "resumable") if number % 2 else ("resumable", "plain")
                runtimes = {n: Runtime(plane, plain=n == "plain") for n in names}
                add(times, "pass", measure_roundtrip(runtimes, options.roundtrips))
                for case in cases:
                    add(times, case.name, measure_output(runtimes, case, options.rounds))
        report(times)


if __name__ == "__main__":
    main()
