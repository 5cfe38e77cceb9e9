"""`scripts/bench generation`: tokens a second, and when they come, through predictd and through llama.cpp.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.generation import scaling
from bench.generation.contestants import TARGETS, Contest, contest
from bench.generation.models import NAMES, RANDOM_1B, bench_model
from bench.generation.quality import as_json as quality_as_json
from bench.generation.quality import print_quality
from bench.generation.report import print_interference, print_rates, print_times
from bench.generation.results import HEADLINE, ratios_by_point
from bench.generation.rounds import HTTP_ANSWERS, HTTP_ROUNDS, Measurement, Sizes
from bench.harness.allocator import add_allocator_argument, print_allocators
from bench.harness.machine import Watch, cores, machine
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import Worst, print_last_line

ROUNDS = 5
SECONDS = 8.0
PARTS = ["streams", "http", "prefill", "temperature", "contexts", "poisson", "interference", "scaling", "quality"]
# What a model of a billion parameters has the time for.
LARGE_PARTS = ["streams", "prefill", "temperature", "contexts", "quality"]
POINTS = [1, 2, 4, 8, 16]
# An answer has to fit into the exporter's 2,048 positions, too.
LONGEST_CONTEXT = 2000
LARGE = Sizes(
    [1, HEADLINE], tokens=32, prefill_tokens=64, prefills=4, context_streams=[1], scored_texts=4, scored_tokens=64
)
QUICK = Sizes(
    [1, HEADLINE], tokens=16, prefills=2, arrivals=[0.5], long_prompt_tokens=128, long_prompts=1, running_tokens=32,
    contexts=[256], context_streams=[1], context_tokens=8, scored_texts=4, scored_tokens=32,
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    points = ",".join(map(str, POINTS))
    parser.add_argument(
        "--models", type=one_of(NAMES), metavar="NAME,...",
        help=f"default: {','.join(NAMES)}, with --quick {NAMES[0]}; the first one has the last line's ratio",
    )  # fmt: skip
    points = ",".join(map(str, POINTS))
    parser.add_argument(
        "--points", type=parse_points, metavar="N,...",
        help=f"streams at once (default: {points}, of {RANDOM_1B} 1,{HEADLINE}); {HEADLINE} is always measured",
    )  # fmt: skip
    parser.add_argument("--answers", type=positive, default=1, help="of each stream, one after the other; default: 1")
    parser.add_argument(
        "--contexts", type=parse_contexts, default=[1000, LONGEST_CONTEXT], metavar="N,...",
        help="tokens of the prompts of that part; default: 1000,2000",
    )  # fmt: skip
    parser.add_argument(
        "--parts", type=one_of(PARTS), default=PARTS, metavar="NAME,...",
        help=f"default: {','.join(PARTS)}, of {RANDOM_1B} not all; --seconds is of each load with poisson arrivals",
    )  # fmt: skip
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the scaling")
    add_flags_argument(parser)
    add_allocator_argument(parser)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def parse_points(text: str) -> list[int]:
    return sorted({positive(part) for part in text.split(",")} | {HEADLINE})


def parse_contexts(text: str) -> list[int]:
    contexts = [positive(part) for part in text.split(",")]
    if max(contexts) > LONGEST_CONTEXT:
        raise argparse.ArgumentTypeError(f"a context has at most {LONGEST_CONTEXT} tokens")
    return contexts


def one_of(names: list[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"'{unknown[0]}' is not one of {', '.join(names)}")
        return chosen

    return parse


def targets(_: argparse.Namespace) -> list[str]:
    return TARGETS


def run(options: argparse.Namespace) -> dict[str, Any]:
    names = options.models or (NAMES[:1] if options.quick else NAMES)
    found = [run_model(options, name) for name in names]
    worst = Worst.of({f"{result['model']}, {where}": ratio for result in found for where, ratio in result["by_point"]})
    ratios = found[0]["ratios"]
    print_last_line("generation", statistics.median(ratios), ratios, worst)
    return {
        "benchmark": "generation",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "threads": cores(),
        "predictd_flags": options.predictd_flags,
        "ratio": statistics.median(ratios),
        "worst": asdict(worst),
        "models": found,
    }


def sizes_of(options: argparse.Namespace, name: str) -> Sizes:
    if options.quick:
        return QUICK
    sizes = LARGE if name == RANDOM_1B else Sizes(POINTS)
    return replace(sizes, points=options.points or sizes.points, answers=options.answers, contexts=options.contexts)


def run_model(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """Measures and prints one model, and returns its part of the result."""
    sizes = sizes_of(options, name)
    parts = [part for part in options.parts if name != RANDOM_1B or part in LARGE_PARTS]
    model = bench_model(options, name)
    with contest(options, model, "http" in parts) as started:
        print_conditions(options, name, sizes, started)
        with Watch(started.processes) as watch:
            measured = Measurement(options, parts, sizes, started, model, watch)
            measured.warm_up()
            began = time.monotonic()
            for index in range(options.rounds):
                measured.run_round(index)
                passed = time.monotonic() - began
                done = f"{name}: round {index + 1} of {options.rounds} done, {passed:.0f} s"
                print(done, file=sys.stderr, flush=True)
        shares = measured.same_beginnings()
        quality = measured.quality() if "quality" in parts else []
    print_measured(measured, sizes)
    steps = scaling.run(options, model) if "scaling" in parts else None
    if quality:
        print_quality(quality)
    watch.print()
    beginnings = ", ".join(f"{share:.0%} of {name}'s" for name, share in shares.items())
    print(f"all answers were complete; {beginnings} began with the token that the bare model gives\n")
    opponents = [started.llama_q4_1.name, started.llama_q4_0.name]
    rows = [row for row in measured.rates() if row.samples]
    return {
        "model": name,
        "llama_cpp": started.llama_system_info,
        **watch.as_json(),
        "allocators": started.allocators,
        "ratios": measured.streams[HEADLINE].ratios(started.predictd.name, started.llama_q4_1.name),
        "by_point": list(ratios_by_point(rows, opponents).items()),
        "overhead": measured.overhead.as_json(),
        "streams": [row.as_json() for row in measured.streams.values()],
        "prefill": [row.as_json() for row in measured.prefill.values()],
        "temperature": measured.temperature.as_json(),
        "contexts": [row.as_json() for row in measured.contexts.values()],
        "poisson": [row.as_json() for row in measured.poisson.values()],
        "interference": measured.interference.as_json(),
        "scaling": steps,
        "quality": quality_as_json(quality) if quality else None,
    }


def print_measured(measured: Measurement, sizes: Sizes) -> None:
    streams, contexts, arrivals = (
        list(rows.values()) for rows in (measured.streams, measured.contexts, measured.poisson)
    )
    print_rates(f"tokens/s of streams, each {sizes.answers} answers, one after the other", "streams", streams)
    print_times("streams", streams)
    if measured.prefill:
        title = f"prompt tokens/s, of prompts of {sizes.prefill_tokens} tokens"
        print_rates(title, "at once", list(measured.prefill.values()))
    if measured.temperature.samples:
        print_rates(f"tokens/s of {HEADLINE} streams by temperature", "T", [measured.temperature])
    if contexts:
        title = f"tokens/s of answers of {sizes.context_tokens}, by tokens of prompt x streams"
        print_rates(title, "context", contexts)
        print_times("context", contexts)
    if arrivals:
        print_rates("tokens/s of callers who come at random", "load", arrivals)
        print_times("load", arrivals)
    measured.overhead.print(HEADLINE)
    if measured.interference.alone:
        print_interference(measured.interference, sizes.long_prompt_tokens)


def print_conditions(options: argparse.Namespace, name: str, sizes: Sizes, started: Contest) -> None:
    print(
        f"{name} on {machine()}; {cores()} threads for each of predictd, the bare model and llama.cpp;"
        f" {options.rounds} rounds; {sizes.prompt_tokens} tokens in, {sizes.tokens} out, greedy\n"
        f"llama.cpp was compiled for: {started.llama_system_info}"
    )
    print_allocators(started.allocators)
    if started.llama_http is not None:
        print(
            f"{started.llama_http.name} is llama-cpp-python's server with Q4_1; it answers one request at a time, so it"
            f" is measured in {HTTP_ROUNDS} round with {HTTP_ANSWERS} answer of each stream"
        )
