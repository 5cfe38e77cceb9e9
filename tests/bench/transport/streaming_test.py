"""Tests of `tracing`, `streaming` and `shared_memory`: they judge right, and nothing broken looks fast.

PREDICTD_BUILD_DIR names the build folder; the ones that run servers need predictd and bench_echo_server there.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.harness.contestants import Sample
from bench.harness.failure import BenchFailure
from bench.harness.load import Point, Report
from bench.transport import shared_memory, streaming, tracing

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ["PREDICTD_BUILD_DIR"])
ECHO = BUILD / "tests" / "bench" / "bench_echo_server"
ROLLUP = """\
55f0c0000000-7fff00000000 ---p 00000000 00:00 0                          [rollup]
Rss:              144000 kB
Pss:              130000 kB
Private_Clean:     60000 kB
Private_Dirty:     70000 kB
Anonymous:         68000 kB
"""


def streaming_bench(subject: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "streaming", "--no-build", "--build-dir", str(BUILD), "--quick"]
    return subprocess.run(
        [*command, "--subject-cmd", subject, *more], capture_output=True, text=True, timeout=120, check=False
    )


# --- tracing ---


@pytest.mark.parametrize("traced", [100, 60, 140])
def test_a_share_of_traced_calls_near_the_one_asked_for_is_reported(traced: int) -> None:
    assert tracing.require_share("otlp", traced, 10_000, 0.01) == traced / 10_000


@pytest.mark.parametrize(("traced", "calls"), [(40, 10_000), (160, 10_000), (19, 1_900), (0, 10_000)])
def test_lost_and_unwanted_spans_are_an_error(traced: int, calls: int) -> None:
    with pytest.raises(BenchFailure, match="spans were lost"):
        tracing.require_share("otlp", traced, calls, 0.01)


def test_the_tracing_ratio_is_to_the_same_round_without_an_exporter() -> None:
    samples = {tracing.PLAIN: [100, 50], tracing.OTLP: [50, 50]}
    tally = tracing.Tally({name: [Sample(rate, 1.0, []) for rate in rates] for name, rates in samples.items()})
    assert tally.ratios(tracing.OTLP) == [0.5, 1.0]


def test_a_text_is_counted_also_when_the_file_is_missing(tmp_path: Path) -> None:
    spans = tmp_path / "spans"
    assert tracing.count(spans, '"kind":2,') == 0
    spans.write_text('{"kind":2,"kind":1,}\n{"kind":2,}')
    assert tracing.count(spans, '"kind":2,') == 2


# --- streaming ---


def test_every_byte_of_streams_is_counted() -> None:
    Report(1.0, 10, 0, 10 * (35_000 + 130 * 5)).require_full_answers(35_000, in_flight=0, messages=130)
    with pytest.raises(BenchFailure, match="ended with gRPC errors"):
        Report(1.0, 10, 0, 10 * (35_000 + 130 * 5) - 1).require_full_answers(35_000, in_flight=0, messages=130)


def test_the_streaming_ratio_is_to_the_better_echo_of_the_same_round() -> None:
    samples = [[streaming.Sample(rate, 1.0) for rate in row] for row in ([50, 100, 80], [60, 30, 40])]
    assert streaming.Rounds(Point(1, 16), ["s", "a", "b"], samples).ratios() == [0.5, 1.5]


def test_an_echo_against_the_echoes_streams(tmp_path: Path) -> None:
    result_file = tmp_path / "result.json"
    done = streaming_bench(f"{ECHO} --queues 1", "--points", "1x1,1x16", "--json", str(result_file))
    assert done.returncode == 0, done.stderr
    result = json.loads(result_file.read_text())
    worst = min(result["points"], key=lambda point: point["ratio"])
    where = f"worst={worst['ratio']:.2f} ({worst['streams']} stream{'s' * (worst['streams'] > 1)})"
    assert done.stdout.splitlines()[-1] == f"streaming ratio={result['ratio']:.2f} {where}"
    assert [row["streams"] for row in result["points"]] == [1, 16]
    assert all(server["messages_per_second"][0] > 0 for server in result["points"][0]["servers"].values())


@pytest.mark.parametrize(
    ("fault", "line"), [("numbers", "wrong numbers"), ("status", "ended with gRPC errors"), ("short", "messages")]
)
def test_a_faulty_stream_gets_no_ratio(fault: str, line: str) -> None:
    subject = shlex.join([sys.executable, "-m", "bench.transport.faulty_echo", "--fault", fault])
    done = streaming_bench(subject, "--points", "1x16")
    assert done.returncode == 1
    assert line in done.stderr
    assert "ratio=" not in done.stdout


# --- shared memory ---


def test_tensors_in_shared_memory_are_compared_with_messages(tmp_path: Path) -> None:
    result_file = tmp_path / "result.json"
    command = [sys.executable, "-m", "bench", "shared_memory", "--no-build", "--build-dir", str(BUILD), "--quick"]
    done = subprocess.run(
        [*command, "--json", str(result_file)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(result_file.read_text())
    assert f"shared_memory ratio={result['ratio']:.2f} worst=" in done.stdout.splitlines()[-1]
    assert [len(row["seconds"][shared_memory.BOTH]) for row in result["sizes"]] == [1, 1, 1]
