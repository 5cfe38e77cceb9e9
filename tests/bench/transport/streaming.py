"""`scripts/bench streaming`: what a message of PredictStream costs over the least that gRPC itself costs.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc
import numpy as np

from bench.harness.allocator import add_allocator_argument, allocator_of, print_allocators
from bench.harness.checker import CALL_SECONDS, Checker
from bench.harness.contestants import ECHOES, Stage
from bench.harness.failure import BenchFailure
from bench.harness.load import LoadClient, Point
from bench.harness.machine import Watch, machine
from bench.harness.messages import PREDICT_STREAM, WIDTH, PredictMessages
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import Worst, print_last_line, turn
from bench.harness.servers import ServerProcess

ROUNDS = 9
SECONDS = 0.8
POINTS = [Point(1, 1), Point(1, 16), Point(1, 256)]
# The point of the last line.
HEADLINE = Point(1, 16)
ROWS = 128
# One message for each row, and the start and the summary.
FRAME_MESSAGES = 2
CHECKED_ROWS = 3
# 256 streams with a window of 4 chunks fill the default of 1,024, and the checker's stream would be refused.
QUEUE_CAPACITY = 4096
WARM_UP_STREAMS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--points", type=parse_points, default=POINTS, metavar="CxF,...",
        help=f"connections x streams (default: {','.join(map(str, POINTS))}); {HEADLINE} is always measured",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of each stream (default: {ROWS})")
    add_flags_argument(parser)
    add_allocator_argument(parser)
    parser.add_argument(
        "--subject-cmd", metavar="COMMAND",
        help="measure this server in predictd's place: it echoes, and prints `listening on HOST:PORT`",
    )  # fmt: skip


def targets(options: argparse.Namespace) -> list[str]:
    return ["bench_echo_server"] + (["predictd"] if options.subject_cmd is None else [])


def parse_points(text: str) -> list[Point]:
    try:
        points = [Point.parse(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return points if HEADLINE in points else [*points, HEADLINE]


class StreamChecker(Checker[PredictMessages]):
    """Checks streams of a few rows instead of single answers."""

    def check_one(self) -> int:
        return self.check_rows(CHECKED_ROWS)

    def check_rows(self, count: int) -> int:
        """One stream of `count` rows, now. Returns the size of its messages in bytes. Raises when it is not right."""
        rows = self._random.standard_normal((count, WIDTH), dtype=np.float32)
        request = self._messages.stream_request(rows, chunk_rows=1)
        try:
            call = self._channel.unary_stream(PREDICT_STREAM)
            answers = list(call(request, timeout=CALL_SECONDS, wait_for_ready=True))
        except grpc.RpcError as error:
            raise BenchFailure(f"{self._name} answered {error.code().name}: {error.details()}") from error
        if len(answers) != count + FRAME_MESSAGES:
            raise BenchFailure(f"{self._name} answered a stream of {count} rows with {len(answers)} messages")
        self.require_close(self._messages.stream_answer(answers), np.array([self._expected(row) for row in rows]))
        self.checked += 1
        return sum(map(len, answers))


@dataclass(frozen=True)
class Sample:
    """One server under one load once."""

    messages_per_second: float
    cpu_us_per_message: float


class Streamer:
    """A running server with the clients that load and check it."""

    def __init__(self, server: ServerProcess, load: LoadClient, checker: StreamChecker, rows: int) -> None:
        self.server = server
        self.name = server.name
        self._load = load
        self._checker = checker
        self._rows = rows
        self._messages = rows + FRAME_MESSAGES
        self.stream_bytes = checker.check_rows(rows)

    @property
    def checked_streams(self) -> int:
        return self._checker.checked

    def measure(self, point: Point, seconds: float) -> Sample:
        """Warms up, then measures for about that long, with the checker calling alongside. Raises when one is wrong."""
        with self._checker:
            streams_per_second = self._load_streams(point, max(point.in_flight, WARM_UP_STREAMS))
            # Whole waves, so that as many streams as the point says run almost to the end.
            waves = max(1, round(streams_per_second * seconds / point.in_flight))
            before = self.server.cpu_seconds()
            streams_per_second = self._load_streams(point, waves * point.in_flight)
            cpu = self.server.cpu_seconds() - before
        return Sample(streams_per_second * self._messages, cpu * 1e6 / (waves * point.in_flight * self._messages))

    def check_last(self) -> None:
        """Once more when all load is over: the server must still be right."""
        if self._checker.check_rows(self._rows) != self.stream_bytes:
            raise BenchFailure(f"{self.name}: the size of its streams changed")

    def _load_streams(self, point: Point, streams: int) -> float:
        report = self._load.run_calls(self.server.address, point, streams, self.stream_bytes, self._messages)
        return report.calls_per_second


@dataclass
class Rounds:
    """The samples of one point: for each round, those of the subject and of the echoes, in the order of their names."""

    point: Point
    names: list[str]
    samples: list[list[Sample]] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """For each round: the subject's messages in units of the better echo's of that round."""
        return [row[0].messages_per_second / max(echo.messages_per_second for echo in row[1:]) for row in self.samples]

    def medians(self, value: str) -> list[float]:
        """The median over the rounds of that field of Sample, for each server."""
        return [
            statistics.median(getattr(sample, value) for sample in column) for column in zip(*self.samples, strict=True)
        ]


@contextmanager
def streamers(options: argparse.Namespace) -> Iterator[list[Streamer]]:
    """Starts all three, the subject first, and ends them with the block. Only one should get load at a time."""
    with ExitStack() as stack:
        stage = Stage(options, stack)
        rows = np.random.default_rng(1).standard_normal((options.rows, WIDTH), dtype=np.float32)
        load = stage.load_client("streams", stage.messages.stream_request(rows, chunk_rows=1), PREDICT_STREAM)

        def contest(server: ServerProcess, expected: Callable[[np.ndarray], np.ndarray]) -> Streamer:
            checker = StreamChecker(server.name, server.address, stage.messages, expected)
            return Streamer(server, load, stack.enter_context(closing(checker)), options.rows)

        if options.subject_cmd is not None:
            started = [contest(stage.start("subject", shlex.split(options.subject_cmd)), lambda row: row)]
        else:
            stage.set_queue_capacity(QUEUE_CAPACITY)
            started = [contest(stage.predictd(), stage.linear)]
        started += [contest(stage.echo(name, queues), lambda row: row) for name, queues in ECHOES.items()]
        yield started
        for server in started:
            server.check_last()


def run(options: argparse.Namespace) -> dict[str, Any]:
    with streamers(options) as servers:
        sizes = {server.stream_bytes for server in servers}
        if len(sizes) > 1:
            raise BenchFailure(f"the servers' streams differ in size: {sorted(sizes)} bytes")
        print(f"{machine()}; {options.rounds} rounds of about {options.seconds:g} s for each point and server")
        messages = options.rows + FRAME_MESSAGES
        print(f"a stream: {messages} messages, {sizes.pop() / messages:.0f} bytes each on average")
        allocators = {streamer.name: allocator_of(streamer.server.pid) for streamer in servers}
        print_allocators(allocators)
        print()
        with Watch([streamer.server for streamer in servers]) as watch:
            table = measure(servers, options, watch)
        checked = sum(server.checked_streams for server in servers)
    print_table(table)
    watch.print()
    print(f"{checked} streams were checked by their numbers, the bytes of all others were counted: none was wrong")
    ratios = next(row for row in table if row.point == HEADLINE).ratios()
    worst = Worst.of(
        {
            f"{row.point.in_flight} stream{'s' * (row.point.in_flight > 1)}": statistics.median(row.ratios())
            for row in table
        }
    )
    print_last_line("streaming", statistics.median(ratios), ratios, worst)
    return {
        "benchmark": "streaming",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rows": options.rows,
        **watch.as_json(),
        "allocators": allocators,
        "predictd_flags": options.predictd_flags,
        "ratio": statistics.median(ratios),
        "worst": asdict(worst),
        "points": [as_json(row) for row in table],
    }


def measure(servers: list[Streamer], options: argparse.Namespace, watch: Watch) -> list[Rounds]:
    table = [Rounds(point, [server.name for server in servers]) for point in options.points]
    for round_index in range(options.rounds):
        for index, row in enumerate(table):
            samples: dict[int, Sample] = {}
            for i in turn(len(servers), round_index + index):
                with watch.sample():
                    samples[i] = servers[i].measure(row.point, options.seconds)
            row.samples.append([samples[i] for i in range(len(servers))])
        print(f"round {round_index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return table


def print_table(table: list[Rounds]) -> None:
    """Median messages per second, ratio to the better echo of the round (median and range), the servers' CPU time."""
    heads = "".join(f"{name:>15}" for name in table[0].names)
    print(f"conns    streams |{heads}  msgs/s | ratio (range)       | CPU us/message")
    for row in table:
        ratios = row.ratios()
        rates = "".join(f"{value:15,.0f}" for value in row.medians("messages_per_second"))
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        cpu = "".join(f"{value:6.1f}" for value in row.medians("cpu_us_per_message"))
        print(f"{row.point.connections:5}  {row.point.in_flight:9} |{rates}         | {spread:19} |{cpu}")


def as_json(row: Rounds) -> dict[str, Any]:
    return {
        "connections": row.point.connections,
        "streams": row.point.in_flight,
        "ratio": statistics.median(row.ratios()),
        "ratios": row.ratios(),
        "servers": {
            name: {
                "messages_per_second": [sample[i].messages_per_second for sample in row.samples],
                "cpu_us_per_message": [sample[i].cpu_us_per_message for sample in row.samples],
            }
            for i, name in enumerate(row.names)
        },
    }
