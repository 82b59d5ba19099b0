"""Much output: flushed lines, one large display, large chunks of standard output.

What counts first is how much arrives, then how fast. A request that never ends counts as lost
after ten seconds of silence.
"""

from __future__ import annotations

import argparse
import itertools
import re
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.client import Kernel
from benchmarks.report import print_table, write_result
from benchmarks.servers import Variant, start_variants

_SILENCE_S = 10.0
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Case:
    """Code that makes output, and how much of it must arrive.

    Attributes
    ----------
    name, unit : str
        For the tables.
    code : str
        What the kernel runs.
    expected : int
        Units that must arrive.
    """

    name: str
    unit: str
    code: str
    expected: int


def make_cases(lines: int, megabytes: int) -> list[Case]:
    """Return the three cases in their size."""
    display = (
        "from IPython.display import publish_display_data as show\n"
        f"show({{'text/plain': 'x' * {megabytes * 1_000_000}}})"
    )
    chunks = (
        "import sys\nchunk = 'x' * 1_000_000\n"
        f"for _ in range({megabytes}):\n    sys.stdout.write(chunk); sys.stdout.flush()"
    )
    flushed = f"for i in range({lines}):\n    print(i, flush=True)"
    return [
        Case("lines", "lines", flushed, lines),
        Case("display", "bytes", display, megabytes * 1_000_000),
        Case("chunks", "bytes", chunks, megabytes * 1_000_000),
    ]


@dataclass(frozen=True)
class Run:
    """What one run of one case showed.

    Attributes
    ----------
    seconds : float
        From the request to the last piece of output.
    arrived : int
        Units that arrived.
    in_order : bool
        Lines came in the order in which they were printed, none twice.
    ended : bool
        Both the reply and the idle status came.
    """

    seconds: float
    arrived: int
    in_order: bool
    ended: bool


def measure(kernel: Kernel, case: Case) -> Run:
    """Run a case once and count what arrives."""
    started = time.perf_counter()
    last = started
    text: list[str] = []
    ends = set()
    for now, message in kernel.answers(kernel.execute(case.code), limit_s=_SILENCE_S):
        if message.kind == "stream":
            text.append(message.content["text"])
            last = now
        elif message.kind == "display_data":
            text.append(message.content["data"]["text/plain"])
            last = now
        elif message.kind == "execute_reply":
            ends.add("reply")
        elif message.is_idle:
            ends.add("idle")
    output = "".join(text)
    in_order = True
    arrived = len(output)
    if case.unit == "lines":
        numbers = [int(found) for found in _NUMBER.findall(output)]
        arrived = len(numbers)
        in_order = all(a < b for a, b in itertools.pairwise(numbers))
    return Run(last - started, arrived, in_order, len(ends) == 2)


def run_rounds(
    variants: list[Variant], cases: list[Case], rounds: int
) -> dict[str, dict[str, list[Run]]]:
    """Run every case on every variant in each round; a kernel is used once only."""
    runs: dict[str, dict[str, list[Run]]] = {
        case.name: {variant.name: [] for variant in variants} for case in cases
    }
    for number in range(rounds):
        shift = number % len(variants)
        for case in cases:
            for variant in variants[shift:] + variants[:shift]:
                # A kernel that lost the end of a case would spoil the next one.
                kernel = Kernel(variant)
                kernel.connect()
                try:
                    for _ in kernel.answers(kernel.execute("pass"), limit_s=60):
                        pass
                    runs[case.name][variant.name].append(measure(kernel, case))
                finally:
                    kernel.close()
    return runs


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--case", action="append", help="only this one: lines, display, chunks")
    parser.add_argument("--no-gateway", action="store_true", help="leave out the gateway")
    options = parser.parse_args()
    cases = make_cases(options.lines, options.megabytes)
    if options.case:
        cases = [case for case in cases if case.name in options.case]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start_variants(Path(folder), gateway=not options.no_gateway) as variants,
    ):
        runs = run_rounds(variants, cases, options.rounds)
    report(cases, runs)


def report(cases: list[Case], runs: dict[str, dict[str, list[Run]]]) -> None:
    """Print a table per case and write the JSON."""
    document = {}
    for case in cases:
        rows = []
        local = [_rate(run) for run in runs[case.name]["local"]]
        for name, several in runs[case.name].items():
            rates = [_rate(run) for run in several]
            arrived = [run.arrived for run in several]
            ratio = statistics.median(
                a / b if b else float("inf") for a, b in zip(rates, local, strict=True)
            )
            scale = 1 if case.unit == "lines" else 1e6
            rows.append(
                [
                    name,
                    f"{min(arrived) / case.expected:.1%}",
                    sum(1 for run in several if run.arrived == case.expected),
                    sum(1 for run in several if run.ended),
                    all(run.in_order for run in several),
                    len(several),
                    statistics.median(run.seconds for run in several),
                    statistics.median(rates) / scale,
                    ratio,
                ]
            )
            document[f"{case.name}: {name}"] = {
                "expected": case.expected,
                "rate_to_local": ratio,
                "runs": [asdict(run) for run in several],
            }
        unit = "lines/s" if case.unit == "lines" else "MB/s"
        head = ["variant", "least arrived", "complete", "ended", "in order", "of", "seconds"]
        print_table(f"{case.name}: {case.expected:,} {case.unit}", [*head, unit, "/ local"], rows)
    write_result("throughput", {"cases": document})


def _rate(run: Run) -> float:
    """Units that arrived per second; what was lost does not count as fast."""
    return run.arrived / run.seconds if run.seconds > 0 else 0.0


if __name__ == "__main__":
    main()
