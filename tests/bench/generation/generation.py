"""`scripts/bench generation`: tokens a second, and when they come, through predictd and through llama.cpp.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench.generation import scaling
from bench.generation.contestants import TARGETS, Contest, contest, exported_model
from bench.generation.report import print_interference, print_rates, print_times
from bench.generation.results import HEADLINE
from bench.generation.rounds import HTTP_ANSWERS, HTTP_ROUNDS, MANY_STREAMS, Measurement, Sizes
from bench.harness.machine import OtherLoad, cores, machine, print_other_load
from bench.harness.predictd import add_flags_argument

ROUNDS = 3
SECONDS = 8.0
PARTS = ["streams", "http", "prefill", "poisson", "interference", "scaling"]
POINTS = [1, 2, 4, 8, 16]
QUICK = Sizes(
    [1, HEADLINE], tokens=16, answers=1, prefills=2, arrivals=[0.5],
    long_prompt_tokens=128, long_prompts=1, running_tokens=32,
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    points = ",".join(map(str, POINTS))
    parser.add_argument(
        "--points", type=parse_points, default=POINTS, metavar="N,...",
        help=f"streams at once (default: {points}); {HEADLINE} is always measured",
    )  # fmt: skip
    parser.add_argument(
        "--answers", type=positive, metavar="N",
        help=f"of each stream, one after the other (default: 2, from {MANY_STREAMS} streams on 1)",
    )  # fmt: skip
    parser.add_argument(
        "--parts", type=parse_parts, default=PARTS, metavar="NAME,...",
        help=f"default: {','.join(PARTS)}; --seconds is of each load with poisson arrivals",
    )  # fmt: skip
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the scaling")
    add_flags_argument(parser)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def parse_points(text: str) -> list[int]:
    return sorted({positive(part) for part in text.split(",")} | {HEADLINE})


def parse_parts(text: str) -> list[str]:
    parts = text.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is not one of {', '.join(PARTS)}")
    return parts


def targets(_: argparse.Namespace) -> list[str]:
    return TARGETS


def run(options: argparse.Namespace) -> dict[str, Any]:
    sizes = QUICK if options.quick else Sizes(options.points, answers=options.answers)
    model = exported_model(options)
    with contest(options, model) as started:
        print_conditions(options, sizes, started)
        measured = Measurement(options, sizes, started, model)
        measured.warm_up()
        others = OtherLoad(started.processes)
        began = time.monotonic()
        for index in range(options.rounds):
            measured.run_round(index)
            passed = time.monotonic() - began
            print(f"round {index + 1} of {options.rounds} done, {passed:.0f} s", file=sys.stderr, flush=True)
        busy_elsewhere = others.cores()
        shares = measured.same_beginnings()
    streams, prefill, arrivals = (list(row.values()) for row in (measured.streams, measured.prefill, measured.poisson))
    answers = sizes.answers or f"2 (from {MANY_STREAMS} streams on 1)"
    print_rates(f"tokens/s of streams, each {answers} answers, one after the other", "streams", streams)
    print_times("streams", streams)
    if prefill:
        print_rates(f"prompt tokens/s, of prompts of {sizes.prefill_tokens} tokens", "at once", prefill)
    if arrivals:
        print_rates("tokens/s of callers who come at random", "load", arrivals)
        print_times("load", arrivals)
    measured.overhead.print(HEADLINE)
    if measured.interference.alone:
        print_interference(measured.interference, sizes.long_prompt_tokens)
    steps = scaling.run(options, model) if "scaling" in options.parts else None
    print_other_load(busy_elsewhere)
    beginnings = ", ".join(f"{share:.0%} of {name}'s" for name, share in shares.items())
    print(f"all answers were complete; {beginnings} began with the token that the bare model gives")
    ours, theirs = started.predictd.name, started.llama_q4_1.name
    ratio = statistics.median(measured.streams[HEADLINE].ratios(ours, theirs))
    print(f"generation ratio={ratio:.2f}")
    return {
        "benchmark": "generation",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "threads": cores(),
        "llama_cpp": started.llama_system_info,
        "other_load_cores": busy_elsewhere,
        "predictd_flags": options.predictd_flags,
        "ratio": ratio,
        "overhead": measured.overhead.as_json(),
        "streams": [row.as_json() for row in streams],
        "prefill": [row.as_json() for row in prefill],
        "poisson": [row.as_json() for row in arrivals],
        "interference": measured.interference.as_json(),
        "scaling": steps,
    }


def print_conditions(options: argparse.Namespace, sizes: Sizes, started: Contest) -> None:
    print(
        f"{machine()}; {cores()} threads for each of predictd, the bare model and llama.cpp; {options.rounds} rounds;"
        f" {sizes.prompt_tokens} tokens in, {sizes.tokens} out, greedy\n"
        f"llama.cpp was compiled for: {started.llama_system_info}"
    )
    if started.llama_http is not None:
        print(
            f"{started.llama_http.name} is llama-cpp-python's server with Q4_1; it answers one request at a time, so it"
            f" is measured in {HTTP_ROUNDS} round with {HTTP_ANSWERS} answer of each stream"
        )
