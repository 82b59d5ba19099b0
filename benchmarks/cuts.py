"""Lost connections: ours beside jupyter_server with a gateway, and beside sshpyk.

First a cell prints a numbered line every 0.1 s, while the connection to the kernel's side is cut
(RST, and refused from then on), and later passes no byte on, as an unplugged cable does. Then
cells are sent while it is cut. The client is a browser's websocket, which stays open throughout.
All ways are measured at the same time, each through a proxy of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import Kernel
from benchmarks.peers import NAMES, Peer, start_peers
from benchmarks.report import print_table, write_result

_STEP_S = 0.1
_NUMBER = re.compile(r"\d+")
# Nothing for so long: nothing will come any more.
_SILENCE_S = 45.0
_CODE = "import time\nfor i in range({}):\n    print(i, flush=True)\n    time.sleep({})"


@dataclass(frozen=True)
class Plan:
    """What happens to a connection, in seconds.

    Attributes
    ----------
    before_s, between_s, after_s : float
        How long all is well.
    cut_s, stalled_s : float
        How long the connection is lost.
    cells : int
        How many are sent during another cut.
    """

    before_s: float
    cut_s: float
    between_s: float
    stalled_s: float
    after_s: float
    cells: int

    @property
    def lines(self) -> int:
        """How many lines the first cell prints."""
        parts = (self.before_s, self.cut_s, self.between_s, self.stalled_s, self.after_s)
        return round(sum(parts) / _STEP_S)


class Mode:
    """Changes a proxy's mode when its time has come."""

    def __init__(self, peer: Peer, *steps: tuple[float, str]) -> None:
        self._proxy = peer.proxy
        self._started_s = time.monotonic()
        self._steps = list(steps)

    def wait_s(self, limit_s: float) -> float:
        """Make the changes that are due; returns how long to wait for the next, at most."""
        elapsed_s = time.monotonic() - self._started_s
        while self._steps and self._steps[0][0] <= elapsed_s:
            self._proxy.set_mode(self._steps.pop(0)[1])
        return min(limit_s, self._steps[0][0] - elapsed_s) if self._steps else limit_s


def open_kernel(peer: Peer) -> Kernel:
    """Start a kernel that has answered."""
    kernel = Kernel(peer.variant)
    kernel.connect()
    for _ in kernel.answers(kernel.execute("seen = []"), limit_s=60):
        pass
    return kernel


def close_kernel(kernel: Kernel) -> None:
    """End a kernel, as far as its server still can."""
    try:
        kernel.close()
    except (OSError, RuntimeError) as error:
        print(f"{kernel.variant.name}: the kernel was not ended: {error}", flush=True)


def measure_lines(peer: Peer, plan: Plan) -> dict[str, Any]:
    """Print lines over a cut and a stall; returns what came of them."""
    kernel = open_kernel(peer)
    request = kernel.execute(_CODE.format(plan.lines, _STEP_S), cell="lines")
    cut_s = plan.before_s
    stalled_s = cut_s + plan.cut_s + plan.between_s
    mode = Mode(
        peer,
        (cut_s, "cut"),
        (cut_s + plan.cut_s, "open"),
        (stalled_s, "stalled"),
        (stalled_s + plan.stalled_s, "open"),
    )
    text, ends = "", set[str]()
    # Gaps until the stall, and from then on.
    gaps = [0.0, 0.0]
    started_s = last_s = time.monotonic()
    while len(ends) < 2 and time.monotonic() - last_s < _SILENCE_S + plan.stalled_s:
        message = kernel.receive(mode.wait_s(1.0))
        if message is None or message.parent != request:
            continue
        now_s = time.monotonic()
        if message.kind == "stream":
            text += message.content["text"]
            late = last_s - started_s > stalled_s - plan.between_s / 2
            gaps[late] = max(gaps[late], now_s - last_s)
            last_s = now_s
        elif message.kind == "execute_reply":
            ends.add("reply")
        elif message.is_idle:
            ends.add("idle")
    peer.proxy.set_mode("open")
    close_kernel(kernel)
    numbers = [int(found) for found in _NUMBER.findall(text)]
    counted = Counter(numbers)
    return {
        "printed": plan.lines,
        "lost": plan.lines - len(counted),
        "doubled": len(numbers) - len(counted),
        "in_order": numbers == sorted(numbers),
        "gap_of_cut_s": gaps[0],
        "gap_of_stall_s": gaps[1],
        "ended": len(ends) == 2,
    }


def measure_cells(peer: Peer, plan: Plan) -> dict[str, Any]:
    """Send cells during a cut; returns which were answered, and which the kernel has run."""
    kernel = open_kernel(peer)
    mode = Mode(peer, (0.0, "cut"), (plan.cut_s, "open"))
    pause_s = plan.cut_s * 0.8 / plan.cells
    mode.wait_s(0)
    requests: dict[str, int] = {}
    replies, printed, idle = list[int](), list[int](), set[str]()
    cut_s = sent_s = last_s = time.monotonic()
    # Output may come after the reply, but not after idle.
    while min(len(replies), len(idle)) < plan.cells:
        if time.monotonic() - last_s > plan.cut_s + _SILENCE_S:
            break
        if len(requests) < plan.cells and time.monotonic() >= sent_s:
            number = len(requests)
            code = f"seen.append({number}); print({number})"
            requests[kernel.execute(code, cell=f"cell-{number}")] = number
            sent_s += pause_s
        message = kernel.receive(mode.wait_s(pause_s / 4 if len(requests) < plan.cells else 1.0))
        if message is None or message.parent not in requests:
            continue
        last_s = time.monotonic()
        if message.kind == "stream":
            printed += [int(found) for found in _NUMBER.findall(message.content["text"])]
        elif message.kind == "execute_reply":
            replies.append(requests[message.parent])
        elif message.is_idle:
            idle.add(message.parent)
    seen = ask_seen(kernel)
    close_kernel(kernel)
    everything = list(range(plan.cells))
    return {
        "sent": plan.cells,
        "answered": len(set(replies)),
        "in_order": replies == everything,
        "printed": len(printed),
        "ran": None if seen is None else len(seen),
        "ran_once_in_order": seen == everything,
        "after_the_cut_s": last_s - cut_s - plan.cut_s if replies else None,
    }


def ask_seen(kernel: Kernel) -> list[int] | None:
    """Ask the kernel which cells it has run, each as often as it has; None without an answer."""
    text = None
    for _, message in kernel.answers(kernel.execute("print('seen', *seen)"), limit_s=15):
        if message.kind == "stream":
            text = (text or "") + message.content["text"]
    return None if text is None else [int(found) for found in _NUMBER.findall(text)]


def run(peer: Peer, plan: Plan) -> dict[str, dict[str, Any]]:
    """Measure one way."""
    return {"lines": measure_lines(peer, plan), "cells": measure_cells(peer, plan)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="append", choices=NAMES, help="only this one")
    parser.add_argument("--quick", action="store_true", help="shorter times, to try it out")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    plan = Plan(3, 3, 6, 5, 5, 10) if options.quick else Plan(5, 10, 15, 30, 15, 30)
    names = options.peer or list(NAMES)
    results: dict[str, list[dict[str, dict[str, Any]]]] = {name: [] for name in names}
    with (
        tempfile.TemporaryDirectory(prefix="b-") as folder,
        start_peers(Path(folder), names) as peers,
        ThreadPoolExecutor(len(peers)) as pool,
    ):
        for _ in range(options.rounds):
            running = {peer.name: pool.submit(run, peer, plan) for peer in peers}
            for name, future in running.items():
                results[name].append(future.result())
    report(plan, results)


def report(plan: Plan, results: dict[str, list[dict[str, dict[str, Any]]]]) -> None:
    """Print the tables, with the figures of all rounds, and write the JSON."""
    titles = {
        "lines": f"{plan.lines} lines, cut for {plan.cut_s} s, stalled for {plan.stalled_s} s",
        "cells": f"{plan.cells} cells sent during a cut of {plan.cut_s} s",
    }
    for case, title in titles.items():
        columns = list(next(iter(results.values()))[0][case])
        rows = [
            [name, *(" ".join(show(each[case][column]) for each in rounds) for column in columns)]
            for name, rounds in results.items()
        ]
        print_table(title, ["way", *columns], rows)
    write_result("cuts", {"plan": asdict(plan), "ways": results})


def show(value: Any) -> str:
    """Return a figure as the table has it."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return "?" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
