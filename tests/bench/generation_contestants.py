"""Who carries out plans in `scripts/bench generation`: predictd behind a gRPC client, llama.cpp, and the bare model."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.failure import BenchFailure
from bench.generation_plan import Outcome, Plan
from bench.line_process import LineProcess
from bench.llama_cpp_environment import llama_cpp_python
from bench.machine import cores
from bench.predictd import NAME, running_predictd

TARGETS = ["predictd", "bench_generation_load", "bench_raw_generator"]
MODEL = "smollm2"
TEXT = Path("tests", "generation", "data", "perplexity.txt")


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
    llama_cpp: PlanRunner
    raw: RawGenerator
    # Those whose CPU time is not others'.
    processes: list

    @property
    def runners(self) -> list[PlanRunner]:
        return [self.predictd, self.llama_cpp]


def exported_model(options: argparse.Namespace) -> Path:
    """The folder of the exported model, in the build folder; exports it if it is not there."""
    folder = options.build_dir / "generators" / MODEL
    command = [sys.executable, str(options.root / "scripts" / "export_generator.py"), "--smollm2", str(folder)]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise BenchFailure("scripts/export_generator.py failed (see above)")
    return folder


def gguf_file(options: argparse.Namespace) -> Path:
    """What it was exported from."""
    sys.path.append(str(options.root / "scripts"))
    from generator_export.smollm2 import smollm2_gguf

    return smollm2_gguf()


def cut_prompts(options: argparse.Namespace, model: Path, count: int, tokens: int) -> list[list[int]]:
    """Parts of a real text, of exactly so many tokens, from its beginning to its end."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "1" / "tokenizer.json"))
    ids = tokenizer.encode((options.root / TEXT).read_text(encoding="utf-8")).ids
    if count > len(ids) - tokens:
        raise BenchFailure(f"{TEXT} has {len(ids)} tokens: not enough for {count} different prompts of {tokens}")
    stride = (len(ids) - tokens) // count
    return [ids[i * stride : i * stride + tokens] for i in range(count)]


@contextmanager
def contest(options: argparse.Namespace, model: Path) -> Iterator[Contest]:
    """Starts all, with a thread for each core, and ends them with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        programs = options.build_dir / "tests" / "bench"
        threads = ["--threads", str(cores())]

        def start(name: str, *command: object) -> LineProcess:
            return stack.enter_context(LineProcess(name, [str(part) for part in command]))

        runner = Path(__file__).with_name("llama_cpp_runner.py")
        llama = start("llama.cpp", llama_cpp_python(), runner, "--model", gguf_file(options), *threads)
        raw = start("bare LibTorch", programs / "bench_raw_generator", "--model", model / "1" / "model.pt", *threads)
        server = stack.enter_context(running_predictd(options, model.parent, folder))
        load = start(NAME, programs / "bench_generation_load", "--address", server.address, "--model", MODEL)
        yield Contest(PlanRunner(load), PlanRunner(llama), RawGenerator(raw), [server, load, llama, raw])
