"""Tests of what benchmarks share: the control, the machine's load, allocators, and the last line."""

import argparse
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from bench.harness.allocator import (
    JEMALLOC,
    LIBC,
    add_allocator_argument,
    allocator_of,
    opponent_environment,
    print_allocators,
)
from bench.harness.control import Control, Turn, spread
from bench.harness.line_process import LineProcess
from bench.harness.machine import Ticks, Watch
from bench.harness.rounds import Worst, print_last_line
from bench.harness.spinner import LOOPS

ROOT = Path(__file__).resolve().parents[3]
# Answers each line with itself.
CAT = ["cat"]


def test_the_control_counts_the_turns_that_began_within_a_sample() -> None:
    turns = [Turn(0.1 * i, 0.001, 0.001 if i < 10 else 0.002) for i in range(20)]
    control = Control.of(turns, [(0.0, 0.95), (0.95, 2.0)])
    assert control.of_cpu_time == pytest.approx([1000 * LOOPS] * 2)
    assert control.of_time == pytest.approx([1000 * LOOPS, 500 * LOOPS])


def test_a_sample_that_is_too_short_for_the_control_is_left_out() -> None:
    turns = [Turn(0.1 * i, 0.001, 0.001) for i in range(20)]
    assert Control.of(turns, [(0.0, 0.15), (0.0, 0.25)]).of_time == pytest.approx([1000 * LOOPS])


def test_what_the_spinner_has_not_written_to_its_end_is_left_out() -> None:
    assert Turn.parse("1.5 0.25 0.5\n2.5 0.2") == [Turn(1.5, 0.25, 0.5)]


def test_a_spread_is_of_the_median() -> None:
    assert spread([90e6, 100e6, 120e6]) == "100.0 (-10%..+20%)"


def test_the_control_runs_beside_each_sample_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with Watch([]) as watch:
        for _ in range(2):
            with watch.sample():
                time.sleep(0.5)
    watch.print()
    assert "the control, in 2 samples: " in capsys.readouterr().out
    found = watch.as_json()["control"]
    assert len(found["loops_per_cpu_second"]) == 2
    # The time of a loop contains its time on a core.
    pairs = zip(found["loops_per_cpu_second"], found["loops_per_second"], strict=True)
    assert all(cpu >= 0.99 * time > 0 for cpu, time in pairs)


def test_without_a_sample_the_control_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Control().print()
    assert capsys.readouterr().out == "the samples were too short for the control\n"


def test_what_the_host_took_is_nobodys_load() -> None:
    second = os.sysconf("SC_CLK_TCK")
    fields = [3 * second, 1 * second, 2 * second, 50 * second, 7 * second, 0, 0, 5 * second, 0, 0]
    assert Ticks.parse(f"cpu  {' '.join(map(str, fields))}\ncpu0 1 2 3\n") == Ticks(busy=6.0, stolen=5.0)


def options(*arguments: str) -> Namespace:
    parser = argparse.ArgumentParser()
    add_allocator_argument(parser)
    return Namespace(root=ROOT, **vars(parser.parse_args(arguments)))


@pytest.mark.parametrize(("arguments", "allocator"), [([], JEMALLOC), (["--opponent-allocator", "libc"], LIBC)])
def test_an_opponent_has_the_allocator_that_was_asked_for(arguments: list[str], allocator: str) -> None:
    environment = opponent_environment(options(*arguments))
    with LineProcess("cat", CAT, environment) as process:
        process.ask("ready")
        assert allocator_of(process.pid) == allocator


def test_jemalloc_takes_the_settings_of_the_server() -> None:
    # It complains of settings that it does not know.
    environment = {**os.environ, **opponent_environment(options())}
    done = subprocess.run([sys.executable, "-c", ""], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "dirty_decay_ms" in environment["MALLOC_CONF"]


def test_different_allocators_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_allocators({"a": JEMALLOC, "b": JEMALLOC})
    print_allocators({"a": JEMALLOC, "b": LIBC})
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["allocator of a, b: jemalloc", "NOT the same allocator: a jemalloc, b libc"]


def test_the_worst_of_a_cost_is_the_highest() -> None:
    assert Worst.of({"1": 2.0, "8": 1.5}) == Worst(1.5, "8")
    assert Worst.of({"1": 2.0, "8": 1.5}, less_is_better=True) == Worst(2.0, "1")


def test_the_last_line_begins_with_the_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    print_last_line("memory", 0.5, [0.4, 0.6])
    print_last_line("transport", 0.5, [0.4, 0.6], Worst(0.3, "1x8"))
    print_last_line("kernels", 0.5, [0.5], Worst(0.3, "a 1B model"))
    assert capsys.readouterr().out.splitlines() == [
        "memory ratio=0.50 range=0.40..0.60",
        "transport ratio=0.50 range=0.40..0.60 worst=0.30 (1x8)",
        "kernels ratio=0.50 worst=0.30 (a 1B model)",
    ]
