"""Tests of `memory` and `connections`: they judge right, and nothing broken looks fast.

PREDICTD_BUILD_DIR names the build folder; the ones that run servers need bench_echo_server there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from bench.harness.contestants import Sample
from bench.harness.failure import BenchFailure
from bench.harness.messages import PREDICT_STREAM, WIDTH, PredictMessages
from bench.harness.servers import ServerProcess
from bench.idle import connections, memory
from bench.idle.idlers import SERVER_DESCRIPTORS, Crowd, descriptor_limit, idle, most_connections, parse_counts

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


@pytest.fixture(name="messages")
def make_messages(tmp_path: Path) -> PredictMessages:
    return PredictMessages(ROOT, tmp_path)


# --- memory ---


def test_reads_the_parts_of_a_processes_memory() -> None:
    parts = memory.Memory.parse(ROLLUP).parts
    assert parts == {"Rss": 144000 << 10, "Pss": 130000 << 10, "Private": 130000 << 10, "Anonymous": 68000 << 10}


def test_memory_of_this_process_is_counted() -> None:
    before = memory.Memory.of(os.getpid()).parts["Anonymous"]
    block = np.ones(32 << 20, dtype=np.uint8)
    assert 30 << 20 < memory.Memory.of(os.getpid()).parts["Anonymous"] - before < 40 << 20
    assert block[0] == 1


def test_growth_is_the_slope_after_the_first_steps() -> None:
    calls = list(range(100_000, 1_100_000, 100_000))
    warming_up_then_flat = [100e6, 150e6] + [150e6] * 8
    assert memory.slope_per_million(calls, warming_up_then_flat) == pytest.approx(0, abs=1)
    leaking_ten_bytes_a_call = [100e6 + 10 * made for made in calls]
    assert memory.slope_per_million(calls, leaking_ten_bytes_a_call) == pytest.approx(10e6)


# --- connections ---


def test_the_ratios_of_connections_are_to_the_same_round_without_idle_ones() -> None:
    samples = {connections.ALONE: [(100, 10), (50, 20)], "idle": [(50, 40), (25, 20)]}
    made = {name: [Sample(rate, 1.0, [p99] * 10) for rate, p99 in rows] for name, rows in samples.items()}
    rounds = connections.Rounds(made)
    assert rounds.rate_ratio("idle") == 0.5
    assert rounds.latency_ratio("idle", 0.99) == 2.5


def test_counts_of_the_idle_clients_are_read() -> None:
    assert parse_counts("held connections=10 streams=50\n", "held") == (10, 50)
    with pytest.raises(BenchFailure, match="expected"):
        parse_counts("", "open")


def test_a_server_needs_twice_the_files_for_its_connections() -> None:
    spare = descriptor_limit(0)
    assert descriptor_limit(10, SERVER_DESCRIPTORS) - spare == 2 * (descriptor_limit(10) - spare)
    # What is said to be possible is.
    assert descriptor_limit(min(10_000, most_connections()), SERVER_DESCRIPTORS) > 0


def test_more_connections_than_the_limit_allows_are_refused() -> None:
    with pytest.raises(BenchFailure, match="ulimit"):
        descriptor_limit(1 << 40)


@pytest.fixture(name="echo")
def start_echo(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("echo", [str(ECHO)], tmp_path / "echo.log") as server:
        yield server


def test_idle_connections_and_unread_streams_stay_open(
    echo: ServerProcess, messages: PredictMessages, tmp_path: Path
) -> None:
    message = tmp_path / "message.bin"
    message.write_bytes(messages.stream_request(np.zeros((4, WIDTH), dtype=np.float32), chunk_rows=1))
    with idle(echo.address, Crowd(30)), idle(echo.address, Crowd(3, 5, PREDICT_STREAM, message, no_window=True)):
        files = len(list(Path(f"/proc/{echo.pid}/fd").iterdir()))
    assert files > 33


def test_streams_that_the_server_ends_are_noticed(
    echo: ServerProcess, messages: PredictMessages, tmp_path: Path
) -> None:
    message = tmp_path / "message.bin"
    message.write_bytes(messages.stream_request(np.zeros((4, WIDTH), dtype=np.float32), chunk_rows=1))

    def make_them_end() -> None:
        with idle(echo.address, Crowd(2, 2, PREDICT_STREAM, message)), grpc.insecure_channel(echo.address) as channel:
            # Answered after those that came before it.
            list(channel.unary_stream(PREDICT_STREAM)(message.read_bytes(), timeout=10))

    with pytest.raises(BenchFailure, match=r"of \(2, 4\) .* \(2, 0\) were left"):
        make_them_end()
