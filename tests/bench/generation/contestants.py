"""Who carries out plans in `scripts/bench generation`: predictd behind a gRPC client, llama.cpp, and the bare model."""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.generation.models import BenchModel
from bench.generation.plan import Outcome, Plan
from bench.harness.allocator import allocator_of, opponent_environment
from bench.harness.failure import BenchFailure
from bench.harness.line_process import LineProcess
from bench.harness.machine import cores
from bench.harness.predictd import NAME, metrics_port_file, running_predictd
from bench.harness.servers import Process, ServerProcess
from bench.llama_cpp.environment import LlamaCpp, llama_cpp

TARGETS = ["predictd", "bench_generation_load", "bench_raw_generator"]
TEXT = Path("tests", "generation", "data", "perplexity.txt")
LLAMA_CPP = Path(__file__).parents[1] / "llama_cpp"


class PlanRunner:
    """One of those who carry out plans."""

    def __init__(self, process: LineProcess) -> None:
        self.name = process.name
        self._process = process

    def run(self, plan: Plan) -> Outcome:
        """Raises when not every request was answered in full."""
        return Outcome.parse(plan, self.name, self._process.ask(plan.line()))


@dataclass(frozen=True)
class RawWave:
    """What the bare model did with some prompts at once."""

    tokens_per_second: float
    prefill_seconds: float
    tokens: list[list[int]]


class RawGenerator:
    """model.pt in a loop of LibTorch's."""

    def __init__(self, process: LineProcess) -> None:
        self._process = process

    def generate(self, prompts: list[list[int]], tokens: int) -> RawWave:
        found = json.loads(self._process.ask(json.dumps({"prompts": prompts, "tokens": tokens})))
        return RawWave(len(prompts) * tokens / found["seconds"], found["prefill_seconds"], found["tokens"])

    def step_seconds(self, streams: int, context: int, seconds: float) -> float:
        """What a step of so many sequences with so much context takes; the median of those that fit into the time."""
        command = {"streams": streams, "context": context, "seconds": seconds}
        return json.loads(self._process.ask(json.dumps(command)))["seconds_per_step"]


@dataclass(frozen=True)
class Contest:
    """All that were started. Only one should have work at a time."""

    predictd: PlanRunner
    # llama.cpp by its batch interface: on the file that predictd's model was exported from, and on that re-quantised.
    llama_q4_1: PlanRunner
    llama_q4_0: PlanRunner
    # llama-cpp-python's own server, on the first of the two files; None if nobody asked for it.
    llama_http: PlanRunner | None
    raw: RawGenerator
    # Those whose logits are compared: the bare model, which predictd serves, and llama.cpp on both files.
    engines: list[LineProcess]
    # For what they write.
    folder: Path
    # By name.
    allocators: dict[str, str]
    # Of predictd.
    metrics_port_file: Path
    # Those whose CPU time is not others'.
    processes: list[Process]
    # What llama.cpp says of its own build.
    llama_system_info: str


def cut_prompts(options: argparse.Namespace, tokenizer_file: Path, count: int, tokens: int) -> list[list[int]]:
    """Parts of a real text, of so many tokens, from its beginning to its end; as text they are the same tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    ids = encode((options.root / TEXT).read_text(encoding="utf-8"))
    stride = (len(ids) - tokens) // count
    prompts: list[list[int]] = []
    for i in range(count):
        parts = (ids[at : at + tokens] for at in range(i * stride, (i + 1) * stride))
        prompts.extend(itertools.islice((part for part in parts if encode(tokenizer.decode(part)) == part), 1))
    if len(prompts) < count:
        raise BenchFailure(f"{TEXT} has {len(ids)} tokens: not enough for {count} different prompts of {tokens}")
    return prompts


@contextmanager
def contest(options: argparse.Namespace, model: BenchModel, http: bool) -> Iterator[Contest]:
    """Starts all, with a thread for each core, and ends them with the block. llama.cpp's HTTP server only if asked."""
    llama = llama_cpp(model.gguf)
    environment = opponent_environment(options)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        programs = options.build_dir / "tests" / "bench"
        threads = ["--threads", str(cores())]

        def start(name: str, *command: object, environment: dict[str, str] | None = None) -> LineProcess:
            return stack.enter_context(LineProcess(name, [str(part) for part in command], environment))

        def start_llama(name: str, file: Path) -> LineProcess:
            command = [llama.python, LLAMA_CPP / "runner.py", "--model", file, *threads]
            return start(name, *command, environment=environment)

        q4_1, q4_0 = start_llama("llama.cpp Q4_1", llama.model), start_llama("llama.cpp Q4_0", llama.q4_0)
        client: LineProcess | None = None
        further: list[LineProcess | ServerProcess] = []
        if http:
            served = stack.enter_context(llama_http_server(llama, folder, environment))
            command = [sys.executable, LLAMA_CPP / "http_completions_load.py", "--address", served.address]
            command += ["--tokenizer", model.tokenizer_file, "--end-tokens", *llama.end_tokens]
            client = start(served.name, *command)
            further = [client, served]
        command = [programs / "bench_raw_generator", "--model", model.model_file, *threads]
        raw = start("bare LibTorch", *command, environment=environment)
        model.install(folder / "models")
        server = stack.enter_context(running_predictd(options, folder / "models", folder))
        load = start(NAME, programs / "bench_generation_load", "--address", server.address, "--model", model.name)
        opponents = [q4_1, q4_0, raw, *further[1:]]
        yield Contest(
            PlanRunner(load),
            PlanRunner(q4_1),
            PlanRunner(q4_0),
            PlanRunner(client) if client else None,
            RawGenerator(raw),
            [raw, q4_1, q4_0],
            folder,
            {process.name: allocator_of(process.pid) for process in [server, *opponents]},
            metrics_port_file(folder),
            [server, load, q4_1, q4_0, raw, *further],
            llama.system_info,
        )


def llama_http_server(llama: LlamaCpp, folder: Path, environment: dict[str, str]) -> ServerProcess:
    """`python -m llama_cpp.server`, with what is slow by default turned off."""
    command = [str(llama.python), "-m", "llama_cpp.server", "--model", str(llama.model), "--n_ctx", "1024"]
    command += ["--n_threads", str(cores()), "--n_threads_batch", str(cores()), "--verbose", "false"]
    # By default it computes the logits of whole prompts, and a new request ends the one that is being answered.
    command += ["--logits_all", "false", "--interrupt_requests", "false", "--host", "127.0.0.1", "--port", "0"]
    log = folder / "llama-http.log"
    listening = r"running on http://\S+:(\d+)\s"
    return ServerProcess("llama.cpp HTTP", command, log, listening=listening, by_signal=True, environment=environment)
