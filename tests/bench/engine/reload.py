"""`scripts/bench reload`: what loading versions of one model, over and over, does to the callers of another.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tritonclient.grpc import InferenceServerClient

from bench.engine import load_generator
from bench.engine.load_generator import Generator, Load, Outcome
from bench.engine.workloads import Workload, encoder
from bench.harness.failure import BenchFailure
from bench.harness.machine import Watch, machine
from bench.harness.messages import PredictMessages
from bench.harness.predictd import add_flags_argument, running_predictd
from bench.harness.rounds import print_last_line

ROUNDS = 9
SECONDS = 12.0
STEADY = "steady"
RELOADED = "reloaded"
MAX_BATCH_SIZE = 8
# Of p99 with reloading over that without.
ALLOWED = 1.5
# A version is read this soon after its folder has appeared.
FLAGS = ["--repository-settle-time=100ms", "--repository-poll-interval=200ms"]
LEAD_SECONDS = 0.5
# In less, no version may have been loaded.
FEWEST_SECONDS = 4.0
LOAD_SECONDS = 60
POLL_SECONDS = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate", type=float, default=100.0, metavar="R",
        help="calls per second of the model that is not reloaded; default 100",
    )  # fmt: skip
    add_flags_argument(parser)


def targets(_: argparse.Namespace) -> list[str]:
    return ["predictd", load_generator.TARGET]


@dataclass(frozen=True)
class Round:
    """The steady model while nothing is loaded, and while the other one is."""

    alone: Outcome
    beside: Outcome
    # Versions that took over within the time that counts, for each second of it.
    loads_per_second: float

    def ratio(self) -> float:
        return p99_ms(self.beside) / p99_ms(self.alone)


def p99_ms(outcome: Outcome) -> float:
    assert outcome.ok_us is not None
    return outcome.ok_us["p99"] / 1000


class Reloading:
    """Puts one new version after the other into a model's folder, each as soon as the one before serves.

    A context manager, which begins with the first one. A version comes as a whole, by a rename, and the last but one
    goes. The server's version is asked for fifty times a second, by the Open Inference Protocol.
    """

    def __init__(self, address: str, model: Path, workload: Workload) -> None:
        self._address, self._model, self._workload = address, model, workload
        self._newest = max(int(version.name) for version in model.iterdir() if version.name.isdigit())
        self._over = threading.Event()
        self._failure: BenchFailure | None = None
        self._loaded_at: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def loaded_since(self, began: float) -> int:
        """How many have taken over since that time of the monotonic clock. Raises if one did not."""
        if self._failure is not None:
            raise self._failure
        return sum(loaded >= began for loaded in list(self._loaded_at))

    def _run(self) -> None:
        try:
            with InferenceServerClient(self._address) as client:
                while not self._over.is_set():
                    self._load(client)
        except BenchFailure as failure:
            self._failure = failure

    def _load(self, client: InferenceServerClient) -> None:
        version = self._newest + 1
        copy = self._model.parent.parent / f"copy-{version}"
        copy.mkdir()
        shutil.copy(self._workload.model_file, copy / "model.pt")
        copy.rename(self._model / str(version))
        deadline = time.monotonic() + LOAD_SECONDS
        while not client.is_model_ready(RELOADED, str(version)):
            if time.monotonic() > deadline:
                raise BenchFailure(f"version {version} was not loaded within {LOAD_SECONDS} s")
            time.sleep(POLL_SECONDS)
        self._loaded_at.append(time.monotonic())
        shutil.rmtree(self._model / str(self._newest))
        self._newest = version


def run(options: argparse.Namespace) -> dict[str, Any]:
    options.seconds = max(options.seconds, FEWEST_SECONDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        repository = folder / "models"
        workload = encoder(options, folder / "exported")
        for name in (STEADY, RELOADED):
            workload.install(repository, name, MAX_BATCH_SIZE)
        calls = workload.write_calls(folder / "calls", PredictMessages(options.root, folder), STEADY, 1)
        options.predictd_flags = " ".join([*FLAGS, options.predictd_flags])
        server = stack.enter_context(running_predictd(options, repository, folder))
        generator = Generator(options, server, calls)
        print(
            f"{machine()}; {options.rounds} rounds of {options.seconds:g} s\n"
            f"{STEADY}: {options.rate:g} calls/s of 1 row, Poisson; {RELOADED}: the same model, loaded again and again"
        )
        with Watch([server]) as watch:
            rounds = []
            for index in range(options.rounds):
                reloading = Reloading(server.address, repository / RELOADED, workload)
                rounds.append(measure(options, generator, reloading, index, watch))
    print_table(rounds)
    watch.print()
    ratios = [each.ratio() for each in rounds]
    print_last_line("reload", statistics.median(ratios), ratios)
    return {
        "benchmark": "reload",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "allowed": ALLOWED,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "samples": [asdict(each) for each in rounds],
    }


def measure(options: argparse.Namespace, generator: Generator, reloading: Reloading, index: int, watch: Watch) -> Round:
    """The steady load alone and beside the loading, which goes first in turn; its arrivals are the same both times."""
    load = Load(options.seconds, rate=options.rate, seed=index + 1)
    outcomes: dict[str, Outcome] = {}
    loads = 0
    for beside in (False, True) if index % 2 == 0 else (True, False):
        if beside:
            with reloading:
                time.sleep(LEAD_SECONDS)
                began = time.monotonic()
                with watch.sample():
                    outcomes["beside"] = generator.run(load).require_all_answered()
                loads = reloading.loaded_since(began)
                took = time.monotonic() - began
        else:
            with watch.sample():
                outcomes["alone"] = generator.run(load).require_all_answered()
    if loads == 0:
        raise BenchFailure(f"no version was loaded within {options.seconds:g} s")
    print(f"round {index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return Round(**outcomes, loads_per_second=loads / took)


def print_table(rounds: list[Round]) -> None:
    print(f"\n{STEADY:15} |  p50 ms  p99 ms  sent late p99 ms")
    for title, name in (("alone", "alone"), ("beside loads", "beside")):
        outcomes = [getattr(each, name) for each in rounds]
        p50, p99 = (statistics.median(o.ok_us[q] / 1000 for o in outcomes) for q in ("p50", "p99"))
        late = statistics.median(o.send_late_us["p99"] / 1000 for o in outcomes)
        print(f"  {title:13} | {p50:7.1f} {p99:7.1f} {late:17.2f}")
    ratios = [each.ratio() for each in rounds]
    spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
    print(f"  p99 ratio     | {statistics.median(ratios):15.2f}   {spread}; {ALLOWED} is allowed")
    print(f"\n{RELOADED}: {statistics.median(each.loads_per_second for each in rounds):.2f} versions a second")
