"""`scripts/bench instructions`: what a unary call costs predictd in instructions, allocations and system calls.

Unlike times, these figures hardly depend on what else the machine does, so CI can hold them to a bound. Counted are the
instructions of user space, by callgrind, from one dump to the next around a fixed number of calls; the calls of the
allocator, from the same dumps; and system calls, by strace, in a run of its own without callgrind.
tests/bench/README.md has the figures.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.harness.allocator import add_allocator_argument, allocator_of, print_allocators
from bench.harness.contestants import ECHOES, Contestant, Stage
from bench.harness.failure import BenchFailure
from bench.harness.load import Point
from bench.harness.machine import machine
from bench.harness.predictd import NAME, add_flags_argument
from bench.harness.rounds import Worst, print_last_line

ROUNDS = 1
SECONDS = 1.0
POINTS = [Point(1, 1), Point(1, 8), Point(1, 64)]
# The point of the last line.
HEADLINE = Point(1, 8)
WARM_UP_CALLS = 1000
CALLS = 3000
# Functions by which a program asks for memory. Of operators, only what does not ask one of the others in turn counts.
ALLOCATIONS = re.compile(r"^(malloc|calloc|realloc|aligned_alloc|posix_memalign|memalign|operator new)\b")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=CALLS, metavar="N", help="calls that are counted at each point")
    parser.add_argument("--bound", type=float, metavar="RATIO", help="fail if the last line's ratio is above that")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="keep predictd's dump of the last line's point, for callgrind_annotate",
    )
    add_flags_argument(parser)
    add_allocator_argument(parser)


def targets(_options: argparse.Namespace) -> list[str]:
    return ["bench_echo_server", "predictd"]


@dataclass(frozen=True)
class Cost:
    """Of one call."""

    instructions: float
    allocations: float
    system_calls: float


def run(options: argparse.Namespace) -> dict[str, object]:
    for program in ("valgrind", "strace"):
        require(program)
    calls = 200 if options.quick else options.calls
    print(f"{machine()}; {calls} calls at each point")
    with ExitStack() as stack:
        stage = Stage(options, stack)
        allocators: dict[str, str] = {}
        costs = {name: measure(stage, name, calls, options, allocators) for name in (NAME, *ECHOES)}
    print_allocators(allocators)
    print_costs(costs)
    ratio = ratio_at(costs, HEADLINE)
    worst = Worst.of({f"{point.in_flight} in flight": ratio_at(costs, point) for point in POINTS}, less_is_better=True)
    print_last_line("instructions", ratio, worst=worst)
    if options.bound is not None and ratio > options.bound:
        raise BenchFailure(
            f"a call takes {ratio:.2f} times the instructions of the better echo; {options.bound} is allowed"
        )
    return {
        "benchmark": "instructions",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "calls": calls,
        "allocators": allocators,
        "ratio": ratio,
        "worst": asdict(worst),
        "costs": {name: {str(point): vars(cost) for point, cost in points.items()} for name, points in costs.items()},
    }


def require(program: str) -> None:
    if shutil.which(program) is None:
        raise BenchFailure(f"{program} is missing: run scripts/setup --dev first")


def ratio_at(costs: dict[str, dict[Point, Cost]], point: Point) -> float:
    """predictd's instructions in units of the better (lower) echo's."""
    return costs[NAME][point].instructions / min(costs[name][point].instructions for name in ECHOES)


def measure(
    stage: Stage, name: str, calls: int, options: argparse.Namespace, allocators: dict[str, str]
) -> dict[Point, Cost]:
    """Adds the server's allocator to `allocators`."""
    stem = name.replace(" ", "-")
    dumps = stage.folder / f"callgrind-{stem}"
    # While it starts nothing is counted, which takes a tenth of the time.
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={dumps}", "--instr-atstart=no", "-q"]
    counted: dict[Point, tuple[int, int]] = {}
    with ExitStack() as stack:
        contestant = start(stage, stack, name, valgrind, options)
        pid = contestant.server.pid
        control(pid, "--instr=on")
        for point in POINTS:
            contestant.make_calls(point, WARM_UP_CALLS // 5)
            control(pid, "--zero")
            contestant.make_calls(point, calls)
            control(pid, "--dump")
            dump = newest_dump(dumps)
            counted[point] = read_dump(dump)
            if options.profile is not None and name == NAME and point == HEADLINE:
                shutil.copy(dump, options.profile)
            print(f"{name} {point}: {counted[point][0] / calls:,.0f} instructions", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        contestant = start(stage, stack, name, [], options)
        allocators[name] = allocator_of(contestant.server.pid)
        contestant.make_calls(HEADLINE, WARM_UP_CALLS)
        system_calls = {point: count_system_calls(contestant, point, calls, stage.folder) for point in POINTS}
    return {
        point: Cost(instructions / calls, allocations / calls, system_calls[point] / calls)
        for point, (instructions, allocations) in counted.items()
    }


def start(stage: Stage, stack: ExitStack, name: str, wrapper: Sequence[str], options: argparse.Namespace) -> Contestant:
    """A server that ends with `stack`."""
    if name == NAME:
        flags = [*shlex.split(options.predictd_flags), "--log-requests=none"]
        return stage.contest(stage.predictd(name, flags, wrapper, stack), stage.linear, stack)
    return stage.contest(stage.echo(name, ECHOES[name], wrapper, stack), lambda row: row, stack)


def control(pid: int, what: str) -> None:
    done = subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, text=True, check=False)
    if done.returncode != 0 or "OK" not in done.stdout:
        raise BenchFailure(f"callgrind_control {what} failed:\n{done.stdout}{done.stderr}")


def newest_dump(dumps: Path) -> Path:
    """FILE.1, FILE.2, ... in the order in which they were asked for."""
    found = sorted(dumps.parent.glob(f"{dumps.name}.*"), key=lambda path: int(path.suffix[1:]))
    if not found:
        raise BenchFailure("callgrind wrote no dump")
    return found[-1]


def read_dump(path: Path) -> tuple[int, int]:
    """Instructions, and how often memory was asked for."""
    names: dict[str, str] = {}
    instructions = asked = 0
    caller = called = ""
    with path.open(errors="replace") as lines:
        for line in lines:
            if line.startswith(("summary:", "totals:")):
                instructions = max(instructions, int(line.split()[1]))
            elif line.startswith("fn="):
                caller = function_name(line[3:], names)
            elif line.startswith("cfn="):
                called = function_name(line[4:], names)
            elif line.startswith("calls=") and ALLOCATIONS.match(called) and not ALLOCATIONS.match(caller):
                asked += int(line[6:].split()[0])
    if instructions == 0:
        raise BenchFailure(f"callgrind's dump says nothing of instructions: {path.name}")
    return instructions, asked


def function_name(text: str, names: dict[str, str]) -> str:
    """`(12) name`, or `(12)` alone for one that was named before."""
    found = re.match(r"\((\d+)\)(?: (.*))?$", text.strip())
    if found is None:
        return text.strip()
    if found[2] is not None:
        names[found[1]] = found[2]
    return names.get(found[1], "")


def count_system_calls(contestant: Contestant, point: Point, calls: int, folder: Path) -> int:
    report = folder / "strace.txt"
    command = ["strace", "-f", "-c", "-o", str(report), "-p", str(contestant.server.pid)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as strace:
        # It says so when it has attached.
        assert strace.stderr is not None
        strace.stderr.readline()
        contestant.make_calls(point, calls)
        strace.terminate()
    return total_of_strace(report.read_text())


def total_of_strace(report: str) -> int:
    """The calls in the last line of `strace -c`: percent, seconds, microseconds a call, calls, perhaps errors."""
    total = re.search(r"^\s*100\.00\s+\S+\s+\d+\s+(\d+)\s+(?:\d+\s+)?total$", report, re.MULTILINE)
    if total is None:
        raise BenchFailure(f"strace counted nothing:\n{report}")
    return int(total[1])


def rows(costs: dict[str, dict[Point, Cost]]) -> Iterator[tuple[str, str, list[float]]]:
    for field, unit in (("instructions", "thousands"), ("allocations", ""), ("system_calls", "")):
        for point in POINTS:
            scale = 1000 if field == "instructions" else 1
            yield field, unit, [getattr(costs[name][point], field) / scale for name in costs]


def print_costs(costs: dict[str, dict[Point, Cost]]) -> None:
    print(f"{'of a call':34} in flight" + "".join(f"{name:>15}" for name in costs))
    for index, (field, unit, values) in enumerate(rows(costs)):
        point = POINTS[index % len(POINTS)]
        label = f"{field.replace('_', ' ')}{', ' + unit if unit else ''}"
        print(f"{label:34} {point.in_flight:9}" + "".join(f"{value:15.2f}" for value in values))
    ratios = {point.in_flight: ratio_at(costs, point) for point in POINTS}
    print("ratio: " + ", ".join(f"{ratio:.2f} at {in_flight}" for in_flight, ratio in ratios.items()))
