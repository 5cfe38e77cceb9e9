"""`scripts/bench tracing`: what exporting traces costs in throughput.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.harness.contestants import Contestant, Sample, Stage
from bench.harness.failure import BenchFailure
from bench.harness.load import Point
from bench.harness.machine import Watch, machine
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import Worst, print_last_line, turn
from bench.harness.servers import STOP_SECONDS, cpu_seconds

ROUNDS = 9
SECONDS = 0.8
PLAIN, OTLP, FILE = "no exporter", "otlp", "file"
POINT = Point(1, 64)
# How far the share of calls that were exported may be from what was asked for. With 2,000 calls at 1 % it is
# 0.78 to 1.22 % in 68 of 100 runs, so this tells lost and unwanted spans from chance.
SHARE_TOLERANCE = 0.5
FEWEST_SPANS = 20
# predictd exports in batches, one second apart; and a little.
EXPORT_SECONDS = 1.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sample-ratio", type=float, default=0.01, help="share of calls to trace (default: 0.01)")
    add_flags_argument(parser)
    parser.add_argument("--point", type=Point.parse, default=POINT, help=f"connections x in flight (default: {POINT})")


def targets(options: argparse.Namespace) -> list[str]:
    return ["predictd"]


@dataclass
class Tally:
    """The samples of each server by name, in the order of the rounds."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        return [sample.calls_per_second for sample in self.samples[name]]

    def ratios(self, name: str) -> list[float]:
        """For each round: that server's throughput in units of the one's without an exporter."""
        return [rate / plain for rate, plain in zip(self.rates(name), self.rates(PLAIN), strict=True)]

    def cpu(self, name: str) -> float:
        return statistics.median(sample.cpu_us_per_call for sample in self.samples[name])


class Receiver:
    """An OTLP/gRPC receiver in a process of its own, which writes what it gets to `spans`."""

    def __init__(self, process: subprocess.Popen[str], spans: Path) -> None:
        self._process = process
        self.spans = spans
        assert process.stdout is not None
        self.port = int(process.stdout.readline() or 0)
        if self.port == 0:
            raise BenchFailure("the OTLP receiver did not start (see above)")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)


@contextmanager
def receiver(options: argparse.Namespace, folder: Path) -> Iterator[Receiver]:
    spans = folder / "otlp-spans.jsonl"
    command = [sys.executable, options.root / "tests" / "telemetry" / "otlp_receiver.py", spans]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Receiver(process, spans)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def count(file: Path, text: str) -> int:
    """How often a text is in a file. A missing file has nothing in it."""
    return file.read_text().count(text) if file.exists() else 0


def require_share(name: str, traced: int, calls: int, ratio: float) -> float:
    """The share of calls that were exported. Raises when it is not what was asked for."""
    share = traced / calls
    if traced < FEWEST_SPANS or abs(share / ratio - 1) > SHARE_TOLERANCE:
        raise BenchFailure(f"{name}: {traced} of {calls} calls were exported, not about {ratio:.2%}: spans were lost")
    return share


def run(options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as outer:
        folder = Path(outer.enter_context(tempfile.TemporaryDirectory(prefix="predictd-traces-")))
        collector = outer.enter_context(receiver(options, folder))
        file = folder / "file-spans.jsonl"
        ratio = f"--trace-sample-ratio={options.sample_ratio}"
        endpoint = f"--trace-endpoint=http://127.0.0.1:{collector.port}"
        flags: dict[str, list[str]] = {
            PLAIN: [],
            OTLP: ["--trace-exporter=otlp", endpoint, ratio],
            FILE: ["--trace-exporter=file", f"--trace-file={file}", ratio],
        }
        with ExitStack() as stack:
            stage = Stage(options, stack)
            others_flags = shlex.split(options.predictd_flags)
            started = [stage.predictd(name, [*more, *others_flags]) for name, more in flags.items()]
            servers = [stage.contest(server, stage.linear) for server in started]
            print(f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each server at {options.point}")
            with Watch([*(contestant.server for contestant in servers), collector]) as watch:
                before = collector.cpu_seconds()
                tally = measure(servers, options, watch)
                receiver_seconds = collector.cpu_seconds() - before
            for server in servers:
                server.check_last()
            calls = {server.name: server.calls for server in servers}
        # The servers have ended, and with that exported what they had.
        traced = {OTLP: count(collector.spans, '"kind": "SERVER"'), FILE: count(file, '"kind":2,')}
    shares = {name: require_share(name, traced[name], calls[name], options.sample_ratio) for name in traced}
    print_table(tally, shares)
    per_span = receiver_seconds / traced[OTLP] * 1e6
    cores = per_span * options.sample_ratio * statistics.median(tally.rates(OTLP)) / 1e6
    print(f"\nthe OTLP receiver (Python) used {per_span:.0f} us for each traced call, {cores:.2f} cores here")
    print("on the same machine, so the ratio includes it")
    watch.print()
    headline = statistics.median(tally.ratios(OTLP))
    worst = Worst.of({name: statistics.median(tally.ratios(name)) for name in traced})
    print_last_line("tracing", headline, tally.ratios(OTLP), worst)
    return {
        "benchmark": "tracing",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "sample_ratio": options.sample_ratio,
        **watch.as_json(),
        "receiver_us_per_traced_call": per_span,
        "exported_share": shares,
        "ratio": headline,
        "worst": asdict(worst),
        "servers": {
            name: {"calls_per_second": tally.rates(name), "cpu_us_per_call": [s.cpu_us_per_call for s in samples]}
            for name, samples in tally.samples.items()
        },
    }


def measure(servers: list[Contestant], options: argparse.Namespace, watch: Watch) -> Tally:
    tally = Tally({server.name: [] for server in servers})
    for round_index in range(options.rounds):
        for i in turn(len(servers), round_index):
            # Spans are exported a second after their calls: by then the sample has begun, and the exports of its own
            # calls take the place of these. What is left at its end must not fall into the next server's sample.
            servers[i].load(options.point, EXPORT_SECONDS)
            with watch.sample():
                sample = servers[i].measure(options.point, options.seconds, latencies=False)
            tally.samples[servers[i].name].append(sample)
            time.sleep(EXPORT_SECONDS)
        print(f"round {round_index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return tally


def print_table(tally: Tally, shares: dict[str, float]) -> None:
    print("server          calls/s   CPU us/call   ratio (range)         exported")
    for name in tally.samples:
        ratios = tally.ratios(name)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        share = f"{shares[name]:8.2%}" if name in shares else "       -"
        print(f"{name:12} {statistics.median(tally.rates(name)):10,.0f} {tally.cpu(name):13.1f}   {spread:20} {share}")
