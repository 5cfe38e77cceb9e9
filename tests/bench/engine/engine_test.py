"""Tests of this room's benchmarks: their arithmetic, and that each runs from end to end.

PREDICTD_BUILD_DIR names the build folder; predictd, bench_load_generator, bench_raw_torch and bench_load_torch must be
there.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.engine import batching, fairness, overload, reload, startup
from bench.engine.load_generator import Outcome
from bench.engine.raw_torch import RawResult, parse_report
from bench.harness.failure import BenchFailure

OUTCOME = Outcome(
    seconds=2.0, asked_rate=100.0, sent=200, codes={"OK": 160, "RESOURCE_EXHAUSTED": 30, "DEADLINE_EXCEEDED": 10},
    in_time=150, late=1, wrong=0, unfinished=0, ok_in_window=160, ok_us={"p50": 2000.0, "p99": 8000.0},
    refused_us={"p50": 500.0}, send_late_us={"p50": 80.0}, client_cpu_seconds=0.4, server_cpu_seconds=2.0,
)  # fmt: skip


def test_the_best_batch_size_is_that_of_the_medians() -> None:
    def sweep(*rates: float) -> dict[int, RawResult]:
        return {rows: RawResult(rate, rate, 1.0) for rows, rate in zip((1, 8, 64), rates, strict=True)}

    best, medians = batching.best_batch([sweep(10, 20, 15), sweep(90, 21, 16), sweep(11, 22, 99)])
    assert (best, medians) == (8, {1: 11, 8: 21, 64: 16})


def test_batching_compares_with_the_raw_rate_of_the_same_round() -> None:
    raw = [RawResult(100.0, 100.0, 0.1), RawResult(200.0, 100.0, 0.1)]
    row = batching.Comparison("encoder", 8, raw, [OUTCOME, OUTCOME])
    assert row.ratios() == [0.8, 0.4]
    # The client took 0.2 of two cores: a tenth.
    assert row.ratios_beside_client(2) == pytest.approx([0.8 / 0.9, 0.4 / 0.9])
    assert row.ratios_of_cpu_time() == [0.8, 0.8]


def test_overload_counts_in_units_of_the_capacity_of_the_round() -> None:
    row = overload.Row(4.0, [OUTCOME, replace(OUTCOME, in_time=300)], [100.0, 100.0])
    assert row.goodput() == pytest.approx((0.75 + 1.5) / 2)
    # The client took 0.2 of two cores: a tenth.
    assert row.goodput_beside_client(2) == pytest.approx(row.goodput() / 0.9)
    assert row.share("RESOURCE_EXHAUSTED") == 0.15
    assert row.total(lambda outcome: outcome.late) == 2
    assert row.median_ms(lambda outcome: outcome.ok_us, "p99") == 8.0


def test_a_load_without_any_answer_has_no_goodput_and_no_latency() -> None:
    none = replace(OUTCOME, in_time=0, ok_us=None)
    row = overload.Row(4.0, [none], [100.0])
    assert row.goodput() == 0
    assert row.median_ms(lambda outcome: outcome.ok_us, "p99") != row.median_ms(lambda outcome: outcome.ok_us, "p99")
    assert overload.goodput_ratio([overload.Row(0.5, [OUTCOME], [100.0]), row]) == 0


def test_the_overload_ratio_is_to_the_best_load() -> None:
    loads = [(0.5, 100), (1.2, 200), (4.0, 150)]
    table = [overload.Row(load, [replace(OUTCOME, in_time=count)], [100.0]) for load, count in loads]
    assert overload.goodput_ratio(table) == 0.75


def test_fairness_allows_twice_the_lone_latency_and_one_batch() -> None:
    beside = replace(OUTCOME, ok_us={"p50": 9000.0, "p99": 18000.0})
    assert fairness.Round(OUTCOME, OUTCOME, beside, OUTCOME).ratio(batch_ms=20.0) == 0.5


def test_reloading_is_compared_with_the_same_round_without() -> None:
    beside = replace(OUTCOME, ok_us={"p50": 2000.0, "p99": 10_000.0})
    assert reload.Round(OUTCOME, beside, loads_per_second=1.0).ratio() == 1.25


def test_a_start_is_compared_with_reading_in_the_same_round(tmp_path: Path) -> None:
    start = startup.Start("digits", tmp_path, [], serving=[1.0, 3.0], read=[0.5, 2.0])
    assert start.ratios() == [2.0, 1.5]


def test_loads_and_models_are_read_and_the_headline_is_always_among_them() -> None:
    assert overload.parse_loads("0.5,2") == [0.5, 2.0, 4.0]
    assert overload.parse_loads("4,1") == [4.0, 1.0]
    assert batching.parse_models("digits") == ["encoder", "digits"]


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "nan", "inf"])
def test_a_load_that_cannot_be_offered_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        overload.parse_loads(text)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="'nothing'"):
        batching.parse_models("encoder,nothing")


def test_the_report_of_raw_torch_is_read_in_order_of_batch_size() -> None:
    one = {"rows_per_second": 1.0, "rows_per_cpu_second": 2.0, "seconds_per_batch": 3.0}
    results = parse_report(json.dumps({"16": one, "2": one}))
    assert list(results.items()) == [(2, RawResult(**one)), (16, RawResult(**one))]


@pytest.mark.parametrize("text", ["", "[]", '{"1": {}}', '{"one": {}}'])
def test_an_unreadable_report_of_raw_torch_is_shown(text: str) -> None:
    with pytest.raises(BenchFailure, match="unexpected"):
        parse_report(text)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("batching", ["--models", "encoder"]),
        ("overload", ["--loads", "0.5"]),
        ("fairness", []),
        ("reload", []),
        ("startup", ["--models", "3"]),
    ],
)
def test_a_benchmark_runs_from_end_to_end(tmp_path: Path, name: str, more: list[str]) -> None:
    build, result_file = os.environ["PREDICTD_BUILD_DIR"], tmp_path / "result.json"
    command = [sys.executable, "-m", "bench", name, "--no-build", "--build-dir", build, "--quick"]
    done = subprocess.run(
        [*command, "--json", str(result_file), *more], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(result_file.read_text())
    last = done.stdout.splitlines()[-1]
    assert last.split(" worst=")[0] == f"{name} ratio={result['ratio']:.2f}"
    # All but these have several points.
    assert ("worst" in result) == (" worst=" in last) == (name not in ("fairness", "reload"))
    assert result["control"]["loops_per_second"]
    assert result["benchmark"] == name
