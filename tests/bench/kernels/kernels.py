"""`scripts/bench kernels`: what of the machine's memory bandwidth and multiplications the kernels use.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.harness.line_process import LineProcess
from bench.harness.machine import Watch, cores, machine
from bench.harness.rounds import Worst, print_last_line

ROUNDS = 2
SECONDS = 0.1
GROUP = 32
ROWS = (1, 4, 8, 16, 64, 128)
# It is there for processors that have nothing else, and slow.
PORTABLE_ROWS = (1, 8)
CONTEXTS = (128, 512, 2048, 8192)
FORMATS = ("q4", "q8", "f16")


@dataclass(frozen=True)
class Shape:
    name: str
    outputs: int
    columns: int
    # How often a model has it.
    count: int


@dataclass(frozen=True)
class Model:
    shapes: tuple[Shape, ...]
    # Query heads for each key head.
    heads: int
    head_width: int


def decoder(layers: int, width: int, kv_heads: int, heads: int, inner: int, vocabulary: int) -> Model:
    head_width = 64
    queries = kv_heads * heads * head_width
    return Model(
        (
            Shape("qkv", queries + 2 * kv_heads * head_width, width, layers),
            Shape("output", width, queries, layers),
            Shape("gate_up", 2 * inner, width, layers),
            Shape("down", width, inner, layers),
            Shape("head", vocabulary, width, 1),
        ),
        heads,
        head_width,
    )


MODELS = {
    "SmolLM2-135M": decoder(30, 576, 3, 3, 1536, 49152),
    "a 1B model": decoder(16, 2048, 8, 4, 8192, 128256),
}


def matrix_bytes(form: str, shape: Shape) -> int:
    groups = shape.columns // GROUP
    panel = {"q4": groups * 320, "q8": (groups + 1) // 2 * 64 + groups * 512, "f16": groups * 1024}[form]
    return shape.outputs // 16 * panel


@dataclass(frozen=True)
class Point:
    """What is measured. `rows` counts those that a matrix is multiplied with, or the positions that are attended to."""

    kernel_set: str
    threads: int
    model: str
    form: str
    shape: str
    rows: int


@dataclass
class Figures:
    """All rounds' seconds of each point, and what the machine could do in the same round."""

    seconds: dict[Point, list[float]] = field(default_factory=dict)
    # By threads: bytes a second.
    memory: dict[int, list[float]] = field(default_factory=dict)
    # By kernel set, threads, and whether integers are multiplied: multiplications a second.
    bound: dict[tuple[str, int, bool], list[float]] = field(default_factory=dict)

    def taken(self, point: Point) -> float:
        return statistics.median(self.seconds[point])

    def bandwidth(self, threads: int) -> float:
        return statistics.median(self.memory[threads])

    def multiplications(self, point: Point) -> float | None:
        """Nothing where it is the compiler that chooses instructions."""
        return statistics.median(self.bound[point.kernel_set, point.threads, point.form != "f16"]) or None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sets", type=lambda text: text.split(","), help="default: all that this processor runs")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS), help="default: all")
    parser.add_argument("--formats", type=lambda text: text.split(","), default=list(FORMATS), help="default: all")


def targets(options: argparse.Namespace) -> list[str]:
    return ["bench_kernels"]


def run(options: argparse.Namespace) -> dict[str, Any]:
    numbers_of_threads = sorted({1, min(2, cores()), cores()})
    seconds = min(options.seconds, 0.01) if options.quick else options.seconds
    figures = Figures()
    program = options.build_dir / "tests" / "bench" / "bench_kernels"
    with LineProcess("bench_kernels", [str(program)]) as process, Watch([process]) as watch:

        def ask(what: str, **request: object) -> Any:
            return json.loads(process.ask(json.dumps({"what": what, "seconds": seconds, **request})))

        sets = options.sets or ask("sets")
        print(f"{machine()}; {options.rounds} rounds, {seconds:g} s for each point; all from memory, none from a cache")
        for _ in range(options.rounds):
            measure(figures, ask, sets, numbers_of_threads, options, watch)
    for kernel_set in sets:
        for threads in numbers_of_threads:
            report(figures, kernel_set, threads, options)
    ratios = {model: summary(figures, sets[0], numbers_of_threads[-1], model, options) for model in options.models}
    watch.print()
    ratio, worst = ratios[options.models[0]], Worst.of(ratios)
    print_last_line("kernels", ratio, worst=worst)
    points = [asdict(point) | {"seconds": samples} for point, samples in figures.seconds.items()]
    bound = [
        {"kernel_set": name, "threads": threads, "integers": integers, "multiplications_per_second": samples}
        for (name, threads, integers), samples in figures.bound.items()
    ]
    return {
        "ratio": ratio,
        "worst": asdict(worst),
        **watch.as_json(),
        "points": points,
        "bytes_per_second": figures.memory,
        "bounds": bound,
    }


def measure(
    figures: Figures,
    ask: Callable[..., float],
    sets: list[str],
    numbers_of_threads: list[int],
    options: argparse.Namespace,
    watch: Watch,
) -> None:
    """One round of all points. Those that read the same memory follow each other: filling it takes time."""
    for threads in numbers_of_threads:
        for kernel_set in sets:
            for integers in (True, False):
                rate = ask("bound", threads=threads, set=kernel_set, integers=integers)
                figures.bound.setdefault((kernel_set, threads, integers), []).append(rate)

    def add(point: Point, what: str, **request: object) -> None:
        taken = ask(what, set=point.kernel_set, threads=point.threads, **request)
        figures.seconds.setdefault(point, []).append(taken)

    runs = [(kernel_set, threads) for kernel_set in sets for threads in numbers_of_threads]
    for model in options.models:
        for form in options.formats:
            with watch.sample():
                # Often, as the machine may be shared.
                for threads in numbers_of_threads:
                    figures.memory.setdefault(threads, []).append(ask("memory", threads=threads))
                for shape in sorted(MODELS[model].shapes, key=lambda shape: shape.columns):
                    for kernel_set, threads in runs:
                        for rows in rows_of(kernel_set):
                            size = {"outputs": shape.outputs, "columns": shape.columns, "rows": rows}
                            point = Point(kernel_set, threads, model, form, shape.name, rows)
                            add(point, "matrix", format=form, **size)
        for element_bytes in (2, 4):
            for kernel_set, threads in runs:
                for positions in CONTEXTS:
                    of = {"width": MODELS[model].head_width, "heads": MODELS[model].heads, "positions": positions}
                    point = Point(kernel_set, threads, model, f"f{8 * element_bytes}", "attention", positions)
                    add(point, "attention", element_bytes=element_bytes, **of)


def rows_of(kernel_set: str) -> tuple[int, ...]:
    return PORTABLE_ROWS if kernel_set == "portable" else ROWS


def report(figures: Figures, kernel_set: str, threads: int, options: argparse.Namespace) -> None:
    bandwidth = figures.bandwidth(threads)
    print(f"\n{kernel_set}, {threads} thread{'s' if threads > 1 else ''}: memory {bandwidth / 1e9:.1f} GB/s", end="")
    for integers, name in ((True, "integers"), (False, "floats")):
        rate = statistics.median(figures.bound[kernel_set, threads, integers])
        print(f", {name} {2 * rate / 1e9:.0f} GFLOP/s" if rate else "", end="")
    print()
    for model in options.models:

        def rates(form: str, shape: Shape, rows: int, model: str = model) -> tuple[str, str]:
            point = Point(kernel_set, threads, model, form, shape.name, rows)
            read = matrix_bytes(form, shape) / figures.taken(point)
            multiplied = shape.outputs * shape.columns * rows / figures.taken(point)
            bound = figures.multiplications(point)
            share = f" ({multiplied / bound:4.2f})" if bound else ""
            return f"{read / 1e9:.1f} ({read / bandwidth:4.2f})", f"{2 * multiplied / 1e9:.0f}{share}"

        for index, title in enumerate(("GB/s (of the memory's)", "GFLOP/s (of the bound)")):
            print_row(f"{model}, rows:", [str(rows) for rows in rows_of(kernel_set)], title)
            for form in options.formats:
                for shape in MODELS[model].shapes:
                    cells = [rates(form, shape, rows)[index] for rows in rows_of(kernel_set)]
                    print_row(f"{form:3} {shape.name:7} {shape.outputs:>6}x{shape.columns}", cells)
        print_row("attention, positions:", [str(positions) for positions in CONTEXTS], "GB/s (of the memory's)")
        for element_bytes in (2, 4):
            cells = []
            for positions in CONTEXTS:
                point = Point(kernel_set, threads, model, f"f{8 * element_bytes}", "attention", positions)
                rate = 2 * positions * MODELS[model].head_width * element_bytes / figures.taken(point)
                cells.append(f"{rate / 1e9:.1f} ({rate / bandwidth:4.2f})")
            print_row(f"f{8 * element_bytes}", cells)


def print_row(name: str, cells: list[str], title: str = "") -> None:
    """A title begins a table."""
    if title:
        print(f"\n  {title}")
    print(f"  {name:24}" + "".join(f"{cell:>13}" for cell in cells))


def summary(figures: Figures, kernel_set: str, threads: int, model: str, options: argparse.Namespace) -> float:
    """How much of what memory allows, all matrices of the model at one row get: 4 bits, the head 8."""
    shapes = [(shape, form_of(shape, options.formats)) for shape in MODELS[model].shapes]

    def taken(rows: int) -> float:
        return sum(
            shape.count * figures.taken(Point(kernel_set, threads, model, form, shape.name, rows))
            for shape, form in shapes
        )

    read = sum(shape.count * matrix_bytes(form, shape) for shape, form in shapes) / figures.bandwidth(threads)
    print(f"\nall matrices of {model} ({kernel_set}, {threads} threads; 4 bits, the head 8):")
    print(f"  1 row: {1e3 * taken(1):.2f} ms, reading them {1e3 * read:.2f} ms")
    multiplied = sum(
        8 * shape.count * shape.outputs * shape.columns
        / (figures.multiplications(Point(kernel_set, threads, model, form, shape.name, 8)) or float("inf"))
        for shape, form in shapes
    )  # fmt: skip
    print(f"  8 rows: {1e3 * taken(8):.2f} ms, their multiplications {1e3 * multiplied:.2f} ms")
    return read / taken(1)


def form_of(shape: Shape, formats: list[str]) -> str:
    wanted = "q8" if shape.name == "head" else "q4"
    return wanted if wanted in formats else formats[0]
