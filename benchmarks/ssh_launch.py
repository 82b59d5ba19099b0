"""Launch to first result on a host over SSH: ours and sshpyk's, in turns, against one sshd.

Both have a connection to the host already (sshpyk by OpenSSH's multiplexing, which it asks for),
and start the same Python there. ``local`` is a plain kernel of this machine.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.launch import STEPS, measure
from benchmarks.report import print_table, ratio_per_round, summarise, write_result
from benchmarks.servers import (
    LOCAL_KERNEL,
    Variant,
    ensure_sshpyk,
    start_ours,
    start_sshpyk,
)

TARGET = 0.8


def start_all(stack: ExitStack, folder: Path) -> list[Variant]:
    """Start a sshd and both servers; returns the ways to a kernel."""
    # The tests' own server, which has no annotations.
    engine: Any = importlib.import_module("tests.engines.sshd")
    sshd = engine.Sshd(folder / "s")
    stack.callback(sshd.stop)
    sshd.start()
    shared = folder / "s" / "shared_config"
    text = sshd.ssh_config.read_text(encoding="utf-8")
    control = f"  ControlMaster auto\n  ControlPersist 60\n  ControlPath {folder}/c-%C\n"
    shared.write_text(text + control, encoding="utf-8")
    options = {**sshd.options, "python": str(ensure_sshpyk())}
    far = {"display_name": "far", "provider": "ssh", "options": options}
    ours = stack.enter_context(start_ours(folder / "ours", {"far": far}))
    theirs = stack.enter_context(start_sshpyk(folder / "sshpyk", sshd.alias, shared))
    return [
        Variant("sshpyk", theirs, "far"),
        Variant("ssh", ours, "remote-far"),
        Variant("local", theirs, LOCAL_KERNEL),
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    times: dict[str, list[dict[str, float]]] = {}
    # A short path, because sockets lie below it.
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        variants = start_all(stack, Path(folder))
        for variant in variants:
            measure(variant)  # connects, and fills the page cache
        for number in range(options.rounds):
            shift = number % len(variants)
            for variant in variants[shift:] + variants[:shift]:
                times.setdefault(variant.name, []).append(measure(variant))
    report(times)


def report(times: dict[str, list[dict[str, float]]]) -> None:
    """Print the table and write the JSON."""
    rows = []
    document = {}
    reference = [each.get("result", float("inf")) for each in times["sshpyk"]]
    for name, rounds in times.items():
        columns = {step: [each.get(step, float("inf")) for each in rounds] for step in STEPS}
        summary = {step: summarise(values) for step, values in columns.items()}
        ratio = ratio_per_round(columns["result"], reference)
        document[name] = {"seconds": summary, "to_sshpyk": ratio}
        result = summary["result"]
        middle = [summary[step]["median"] for step in STEPS]
        rows.append([name, *middle, result["min"], result["p95"], ratio])
    head = ["variant", *STEPS, "min", "p95", "/ sshpyk"]
    print_table(
        f"launch over SSH to first result, seconds, medians of {len(reference)} rounds", head, rows
    )
    print(f"  target: ssh / sshpyk at most {TARGET}\n")
    write_result("ssh_launch", {"variants": document, "rounds": times, "target": TARGET})


if __name__ == "__main__":
    main()
