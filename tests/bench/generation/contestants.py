"""Who carries out plans in `scripts/bench generation`: predictd behind a gRPC client, llama.cpp, and the bare model."""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.generation.plan import Outcome, Plan
from bench.harness.failure import BenchFailure
from bench.harness.line_process import LineProcess
from bench.harness.machine import cores
from bench.harness.predictd import NAME, metrics_port_file, running_predictd
from bench.harness.servers import Process, ServerProcess
from bench.llama_cpp.environment import LlamaCpp, llama_cpp

TARGETS = ["predictd", "bench_generation_load", "bench_raw_generator"]
MODEL = "smollm2"
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
    # Of predictd.
    metrics_port_file: Path
    # Those whose CPU time is not others'.
    processes: list[Process]
    # What llama.cpp says of its own build.
    llama_system_info: str


def exported_model(options: argparse.Namespace) -> Path:
    """The folder of the exported model, in the build folder; exports it if it is not there."""
    folder = options.build_dir / "generators" / MODEL
    command = [sys.executable, str(options.root / "scripts" / "export_generator.py"), "--smollm2", str(folder)]
    kernels = options.build_dir / "lib" / "libpredictd_kernels.so"
    if subprocess.run([*command, "--kernels", str(kernels)], stdout=sys.stderr, check=False).returncode != 0:
        raise BenchFailure("scripts/export_generator.py failed (see above)")
    return folder


def gguf_file(options: argparse.Namespace) -> Path:
    """What it was exported from."""
    sys.path.append(str(options.root / "scripts"))
    from generator_export.smollm2 import smollm2_gguf

    return smollm2_gguf()


def cut_prompts(options: argparse.Namespace, model: Path, count: int, tokens: int) -> list[list[int]]:
    """Parts of a real text, of so many tokens, from its beginning to its end; as text they are the same tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file(model)))

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


def tokenizer_file(model: Path) -> Path:
    return model / "1" / "tokenizer.json"


@contextmanager
def contest(options: argparse.Namespace, model: Path) -> Iterator[Contest]:
    """Starts all, with a thread for each core, and ends them with the block."""
    llama = llama_cpp(gguf_file(options))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        programs = options.build_dir / "tests" / "bench"
        threads = ["--threads", str(cores())]

        def start(name: str, *command: object) -> LineProcess:
            return stack.enter_context(LineProcess(name, [str(part) for part in command]))

        def start_llama(name: str, file: Path) -> LineProcess:
            return start(name, llama.python, LLAMA_CPP / "runner.py", "--model", file, *threads)

        q4_1, q4_0 = start_llama("llama.cpp Q4_1", llama.model), start_llama("llama.cpp Q4_0", llama.q4_0)
        http: LineProcess | None = None
        further: list[Process] = []
        if "http" in options.parts:
            served = stack.enter_context(llama_http_server(llama, folder))
            client = [sys.executable, LLAMA_CPP / "http_completions_load.py", "--address", served.address]
            client += ["--tokenizer", tokenizer_file(model), "--end-tokens", *llama.end_tokens]
            http = start(served.name, *client)
            further = [http, served]
        raw = start("bare LibTorch", programs / "bench_raw_generator", "--model", model / "1" / "model.pt", *threads)
        server = stack.enter_context(running_predictd(options, model.parent, folder))
        load = start(NAME, programs / "bench_generation_load", "--address", server.address, "--model", MODEL)
        yield Contest(
            PlanRunner(load),
            PlanRunner(q4_1),
            PlanRunner(q4_0),
            PlanRunner(http) if http else None,
            RawGenerator(raw),
            metrics_port_file(folder),
            [server, load, q4_1, q4_0, raw, *further],
            llama.system_info,
        )


def llama_http_server(llama: LlamaCpp, folder: Path) -> ServerProcess:
    """`python -m llama_cpp.server`, with what is slow by default turned off."""
    command = [str(llama.python), "-m", "llama_cpp.server", "--model", str(llama.model), "--n_ctx", "1024"]
    command += ["--n_threads", str(cores()), "--n_threads_batch", str(cores()), "--verbose", "false"]
    # By default it computes the logits of whole prompts, and a new request ends the one that is being answered.
    command += ["--logits_all", "false", "--interrupt_requests", "false", "--host", "127.0.0.1", "--port", "0"]
    log = folder / "llama-http.log"
    listening = r"running on http://\S+:(\d+)\s"
    return ServerProcess("llama.cpp HTTP", command, log, listening=listening, by_signal=True)
