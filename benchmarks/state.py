"""State through the whole product, beside the disk, cloudpickle and dill: pause and resume.

Each case runs in a runtime of a control plane in this process: its state is made, paused into a
committed snapshot, and resumed. Beside it the same number of bytes is written from one plain buffer
with fsync, and read into new memory, both with nothing of it in the system's cache. Both are done
several times in turns, because disks are not equally fast twice; medians count. The picklers dump
and load the same state in memory, in a process of their own. What a kernel with the same modules
and nothing else takes is subtracted. Then the second snapshot of a frame of 400 MB, unchanged and
changed, with and without a fast hash in the kernel.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.report import print_table, write_result
from benchmarks.runtime import Runtime, running_plane
from benchmarks.state_cases import (
    CASES,
    CHANGES,
    FRAME,
    NO_FAST_HASH,
    PICKLERS,
    drop_cache,
    measure_disk,
    measure_pickler,
    tiny,
)
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.registry import load_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_remote_kernels.control.plane import ControlPlane

_BAR = 0.5
_MEMORY_BAR = (64 << 20, 0.05)
_LIMIT_S = 300.0
_PROCESSES = ("server", "agent", "kernel")
_TIMES = ("pause_s", "resume_s", "write_s", "read_s")
_GROWTH = ("growth_bytes", "resume_growth_bytes")
_LOOK_S = 0.02
_LEAST_S = 0.001


class MemoryWatch:
    """The largest resident memory of processes above what they had, while a block runs.

    Parameters
    ----------
    pids : dict of str to int
        The processes, by name.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = {name: p.memory_info().rss for name, p in self._processes.items()}
        self.growth = dict.fromkeys(pids, 0)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            for name, process in self._processes.items():
                try:
                    grown = process.memory_info().rss - self._before[name]
                except psutil.NoSuchProcess:
                    continue  # it was paused
                self.growth[name] = max(self.growth[name], grown)


def find_pids(runtime: Runtime) -> dict[str, int]:
    """Return the processes through which a runtime's state goes."""
    agent = psutil.Process(runtime.agent_pid)
    (kernel,) = agent.children()
    return {"server": os.getpid(), "agent": agent.pid, "kernel": kernel.pid}


@contextmanager
def forking(plane: ControlPlane) -> Iterator[None]:
    """Keep a process to fork agents and kernels from, as a server does that runs for a while."""
    provider = load_provider("local")
    assert isinstance(provider, LocalProvider)
    plane.submit(provider.prepare([Environment("bench", "Bench", provider="local")])).result()
    # It has no event for that, since launches never wait for it.
    while provider._nurseries.find(sys.executable, {})[0] is None:  # noqa: SLF001
        time.sleep(0.01)
    try:
        yield
    finally:
        plane.submit(provider.prepare([])).result()


def measure_case(plane: ControlPlane, folder: Path, code: str) -> dict[str, Any]:
    """Make a state, pause it, resume it."""
    runtime = Runtime(plane)
    pausing = runtime.driver.pausing
    try:
        runtime.run(code, limit_s=_LIMIT_S)
        with MemoryWatch(find_pids(runtime)) as saving:
            pause_s = _time(lambda: plane.submit(pausing.pause()).result(_LIMIT_S))
        size_bytes = int(runtime.driver.record.snapshot_bytes or 0)
        drop_cache(folder)
        with MemoryWatch({"server": os.getpid()}) as loading:
            resume_s = _time(lambda: plane.submit(pausing.resume()).result(_LIMIT_S))
        new = {name: pid for name, pid in find_pids(runtime).items() if name != "server"}
        growth = {**loading.growth, **{name: read_peak(pid) for name, pid in new.items()}}
        runtime.run("x")
    finally:
        runtime.stop()
    return {
        "size_bytes": size_bytes,
        "pause_s": pause_s,
        "resume_s": resume_s,
        "growth_bytes": saving.growth,
        "resume_growth_bytes": growth,
    }


def measure_rounds(
    plane: ControlPlane, folder: Path, module: str, code: str, rounds: int
) -> dict[str, Any]:
    """Measure an empty kernel, a case and the disk in turns; medians, and the most memory."""
    runs, bases = [], []
    for _ in range(rounds):
        bases.append(measure_case(plane, folder, tiny(module)))
        run = measure_case(plane, folder, code)
        run["write_s"], run["read_s"] = measure_disk(folder, run["size_bytes"])
        runs.append(run)
    times = {key: statistics.median(run[key] for run in runs) for key in _TIMES}
    growth = {
        key: {each: max(run[key][each] for run in runs) for each in _PROCESSES} for key in _GROWTH
    }
    base_s = [statistics.median(base[key] for base in bases) for key in ("pause_s", "resume_s")]
    return {
        "size_bytes": runs[0]["size_bytes"], **times, **growth, "rounds": runs, "base_s": base_s
    }  # fmt: skip


def read_peak(pid: int) -> int:
    """Return how much more memory a process has had than it has now."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return (int(sizes["VmHWM"]) - int(sizes["VmRSS"])) << 10


def measure_second(plane: ControlPlane, before: str) -> list[dict[str, Any]]:
    """Take snapshots of a frame of 400 MB, with changes between."""
    runtime = Runtime(plane)
    work, find = runtime.driver.pausing.work, plane.services.snapshots.find
    rows: list[dict[str, Any]] = []
    try:
        runtime.run(f"{before}\n{FRAME}", limit_s=_LIMIT_S)
        for name, change in CHANGES.items():
            runtime.run(change, limit_s=_LIMIT_S)
            started = time.perf_counter()
            saved = plane.submit(work.take_snapshot(name, "")).result(_LIMIT_S)
            seconds = time.perf_counter() - started
            manifest = plane.submit(find(saved["snapshot_id"])).result(_LIMIT_S)
            rows.append({"change": name, "seconds": seconds, "new_bytes": manifest.new_bytes})
    finally:
        runtime.stop()
    return rows


def report_cases(results: dict[str, dict[str, Any]]) -> None:
    """Print what pausing and resuming took, beside the disk and the picklers."""
    rows, memory, picklers = [], [], []
    for name, result in results.items():
        saved_s, loaded_s = _own_times(result)
        disk = [result["write_s"] / result["pause_s"], result["read_s"] / loaded_s]
        times = [result["pause_s"], result["write_s"], result["resume_s"], loaded_s]
        rows.append([name, result["size_bytes"] / 1e6, *times, result["read_s"], *disk])
        allowed = _MEMORY_BAR[0] + _MEMORY_BAR[1] * result["size_bytes"]
        growth = [result[key][each] for key in _GROWTH for each in _PROCESSES]
        memory.append([name, *(grown / 1e6 for grown in growth), allowed / 1e6])
        found = [
            times for each in PICKLERS for times in (result["picklers"][each] or [None] * 3)[:2]
        ]
        picklers.append([name, saved_s, loaded_s, *found])
    head = ["state", "MB", "pause s", "write s", "resume s", "without base", "read s"]
    head += ["write/pause", "read/resume"]
    print_table(f"through the product, and the disk; the bar of the ratios is {_BAR}", head, rows)
    head = [
        "state",
        "pause s",
        "resume s",
        *(f"{e} {w}" for e in PICKLERS for w in ("dump", "load")),
    ]
    print_table("without what an empty kernel takes, beside picklers in memory", head, picklers)
    head = ["state", *(f"{w} {each}" for w in ("pause", "resume") for each in _PROCESSES), "bar"]
    print_table("memory above the state, MB", head, memory)


def _own_times(result: dict[str, Any]) -> tuple[float, float]:
    """Return what a state takes beyond its kernel, which has to be started in any case."""
    pause_s, resume_s = result["base_s"]
    saved_s, loaded_s = result["pause_s"] - pause_s, result["resume_s"] - resume_s
    return max(saved_s, _LEAST_S), max(loaded_s, _LEAST_S)


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report_second(rows: list[dict[str, Any]], kind: str) -> None:
    """Print what the second snapshots took."""
    first_s = rows[0]["seconds"]
    table = [
        [row["change"], row["seconds"], row["seconds"] / first_s, row["new_bytes"] / 1e6]
        for row in rows
    ]
    head = ["snapshot", "s", "of the first", "MB written"]
    print_table(f"a frame of 400 MB, {kind} a fast hash", head, table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--case", action="append", help="only states whose name begins so")
    parser.add_argument("--rounds", type=int, default=3, help="so often each state; medians count")
    parser.add_argument("--no-second", action="store_true", help="no second snapshots")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    wanted = tuple(options.case or [""])
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        os.environ["JUPYTER_DATA_DIR"] = os.environ["IPYTHONDIR"] = str(folder)
        with running_plane(folder) as plane, forking(plane):
            results = {}
            empty = [measure_case(plane, folder, tiny("")) for _ in range(options.rounds)]
            for case, (module, code) in CASES.items():
                if not case.startswith(wanted) or (module and find_spec(module) is None):
                    continue
                result = measure_rounds(plane, folder, module, code, options.rounds)
                results[case] = result
                result["picklers"] = {name: measure_pickler(name, code) for name in PICKLERS}
            second = {}
            if not options.no_second:
                kinds = {"without": NO_FAST_HASH}
                if find_spec("xxhash") is not None:
                    kinds = {"with": "", **kinds}
                second = {kind: measure_second(plane, code) for kind, code in kinds.items()}
    medians = [statistics.median(run[key] for run in empty) for key in ("pause_s", "resume_s")]
    print("an empty kernel: pause {:.2f} s, resume {:.2f} s".format(*medians))
    report_cases(results)
    for kind, rows in second.items():
        report_second(rows, kind)
    write_result("state", {"empty_s": medians, "cases": results, "second": second})


if __name__ == "__main__":
    main()
