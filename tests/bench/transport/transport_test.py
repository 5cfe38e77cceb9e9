"""Tests of the benchmark itself: that it measures what it says, and that it does not report a broken server's speed.

PREDICTD_BUILD_DIR names the build folder; the ones that run servers need bench_echo_server there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.harness.contestants import Sample
from bench.harness.failure import BenchFailure
from bench.harness.load import Point, Report
from bench.harness.rounds import at_quantile, turn
from bench.transport.transport import Rounds, parse_points

ROOT = Path(__file__).resolve().parents[3]
REPORT = """\
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.01s, 53088.00 req/s, 16.07MB/s
requests: 53088 total, 53344 started, 53088 done, 53088 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 53088 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 16.07MB (16852210) total, 156.12KB (159864) headers (space savings 96.28%), 14.48MB (15183168) data
"""


def bench(subject: str, *more: str) -> subprocess.CompletedProcess[str]:
    build = os.environ["PREDICTD_BUILD_DIR"]
    command = [sys.executable, "-m", "bench", "transport", "--no-build", "--build-dir", build, "--quick"]
    return subprocess.run(
        [*command, "--subject-cmd", subject, *more], capture_output=True, text=True, timeout=120, check=False
    )


def rounds(*samples: list[float]) -> Rounds:
    return Rounds(Point(1, 64), ["s", "a", "b"], [[Sample(rate, 1.0, []) for rate in row] for row in samples])


def test_reads_the_report_of_h2load() -> None:
    assert Report.parse(REPORT) == Report(53088.0, 53088, 0, 15183168)


def test_an_unreadable_report_is_shown() -> None:
    with pytest.raises(BenchFailure, match="no such thing"):
        Report.parse("no such thing")


@pytest.mark.parametrize("data", [281 + 5, 257 * (281 + 5) - 1])
def test_answers_cut_off_by_the_end_of_the_load_are_not_an_error(data: int) -> None:
    Report(1.0, 1, 0, data).require_full_answers(281, in_flight=256)


@pytest.mark.parametrize(
    "report",
    [
        Report(1.0, 1000, 1, 1000 * 286),
        Report(0.0, 0, 0, 0),
        Report(1.0, 1000, 0, 999 * 286),
        Report(1.0, 1000, 0, 1257 * 286),
    ],
    ids=["a failure", "nothing", "an answer without a message", "longer answers"],
)
def test_a_load_with_wrong_answers_is_an_error(report: Report) -> None:
    with pytest.raises(BenchFailure):
        report.require_full_answers(281, in_flight=256)


def test_points_are_read_and_the_headline_is_always_among_them() -> None:
    assert parse_points("8x64") == [Point(8, 64), Point(1, 64)]
    assert parse_points("1x64,1x8") == [Point(1, 64), Point(1, 8)]


@pytest.mark.parametrize("text", ["", "8", "0x8", "8x4", "8x12", "axb", "1x2x3"])
def test_a_point_that_cannot_be_loaded_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CONNECTIONSxIN_FLIGHT"):
        Point.parse(text)


def test_the_ratio_is_to_the_better_echo_of_the_same_round() -> None:
    assert rounds([50, 100, 80], [60, 30, 40]).throughput_ratios() == [0.5, 1.5]


def test_the_latency_ratio_is_to_the_lower_echo_of_the_same_round() -> None:
    samples = [[Sample(1, 1, [30, 60, 90]), Sample(1, 1, [20, 40, 60]), Sample(1, 1, [10, 30, 80])]]
    assert Rounds(Point(1, 1), ["s", "a", "b"], samples).latency_ratios(0.5) == [2.0]


def test_quantiles_are_of_the_ordered_values() -> None:
    assert [at_quantile(list(range(100)), q) for q in (0.0, 0.5, 0.99, 1.0)] == [0, 50, 99, 99]


def test_everyone_goes_first_in_turn() -> None:
    assert [turn(3, first) for first in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


def test_an_echo_against_the_echoes_is_measured_and_reported(tmp_path: Path) -> None:
    echo = Path(os.environ["PREDICTD_BUILD_DIR"]) / "tests" / "bench" / "bench_echo_server"
    done = bench(f"{echo} --queues 1", "--points", "1x1,8x8,1x64", "--json", str(tmp_path / "result.json"))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    worst = min(result["points"], key=lambda point: point["ratio"])
    where = f"worst={worst['ratio']:.2f} ({worst['connections']}x{worst['in_flight']})"
    assert done.stdout.splitlines()[-1] == f"transport ratio={result['ratio']:.2f} {where}"
    assert result["allocators"] == {"subject": "jemalloc", "echo 1 queue": "jemalloc", "echo 2 queues": "jemalloc"}
    assert "allocator of subject, echo 1 queue, echo 2 queues: jemalloc\n" in done.stdout
    # One figure for each server at each of the three points.
    assert len(result["control"]["loops_per_cpu_second"]) == len(result["control"]["loops_per_second"]) == 9
    assert "the control, in 9 samples: " in done.stdout
    assert [(row["connections"], row["in_flight"]) for row in result["points"]] == [(1, 1), (8, 8), (1, 64)]
    lone = result["points"][0]["servers"]
    assert list(lone) == ["subject", "echo 1 queue", "echo 2 queues"]
    # One call in flight: the time of a call and the calls in a second are two views of one thing.
    for server in lone.values():
        assert 0.1e6 < server["p50_us"][0] * server["calls_per_second"][0] < 2e6


@pytest.mark.parametrize(("fault", "line"), [("numbers", "wrong numbers"), ("status", "ended with gRPC errors")])
def test_a_faulty_server_gets_no_ratio(fault: str, line: str) -> None:
    done = bench(
        f"{sys.executable} -m bench.transport.faulty_echo --fault {fault}", "--points", "1x64", "--seconds", "1"
    )
    assert done.returncode == 1
    assert line in done.stderr
    assert "ratio=" not in done.stdout


def test_a_server_that_does_not_start_is_named() -> None:
    done = bench("false")
    assert done.returncode == 1
    assert "subject ended at its start" in done.stderr
