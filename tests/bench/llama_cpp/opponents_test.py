"""Tests of llama.cpp as an opponent of `scripts/bench generation`: the client of its HTTP server, and its build."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from bench.generation.contestants import PlanRunner, cut_prompts
from bench.generation.plan import Lane, Plan, Request, constant
from bench.harness.failure import BenchFailure
from bench.harness.line_process import LineProcess
from bench.llama_cpp.environment import missing_instructions
from bench.llama_cpp.faulty_completions import FAULTS, faulty_completions

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["the ant", "an apple", "123 times"]
# What the server answers with: see faulty_completions.py.
ANSWER = ["a", "\u00e9", "b", "a", "\u00e9", "b"]


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.append(str(ROOT / "tests" / "scripts"))
    from tiny_models import tiny_tokenizer_json

    folder = tmp_path_factory.mktemp("tokenizer") / "1"
    folder.mkdir()
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(tiny_tokenizer_json()))
    return file


@contextmanager
def client(address: str, tokenizer_file: Path) -> Iterator[PlanRunner]:
    script = Path(__file__).with_name("http_completions_load.py")
    command = [sys.executable, str(script), "--address", address, "--tokenizer", str(tokenizer_file)]
    with LineProcess("HTTP", [*command, "--end-tokens", "2"]) as process:
        yield PlanRunner(process)


def prompts(tokenizer: Tokenizer) -> list[list[int]]:
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]


def test_completions_are_answers_in_tokens(tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    plan = Plan(prompts(tokenizer), [Lane(0.0, (Request(0, 8), Request(2, 4))), Lane(0.3, (Request(1, 8),))])
    with faulty_completions(tokenizer, "none") as server:
        with client(f"127.0.0.1:{server.server_port}", tokenizer_file) as http:
            found = http.run(plan)
        asked = server.prompts
    assert [(one.lane, one.request, len(one.tokens)) for one in found.answers] == [(0, 0, 8), (0, 1, 4), (1, 0, 8)]
    assert tokenizer.decode(found.answers[0].tokens) == "".join(ANSWER)
    # The two tokens of a character come together.
    assert found.answers[0].times[1] == found.answers[0].times[2]
    assert found.answers[2].times[0] >= 0.3
    assert found.answers[1].due >= found.answers[0].times[-1]
    # Something else comes before, so that the server takes nothing over from its last plan.
    assert asked[0] not in TEXTS
    assert sorted(text for text in asked if text in TEXTS) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("stops", "finish reason stop"),
        ("short", "7 tokens where 8 were asked for"),
        ("breaks", "the stream broke"),
        ("fails", "on purpose"),
        ("refuses", "HTTP status 500"),
        ("misreads", "computed [0-9]+ tokens of a prompt of"),
    ],
)
def test_an_incomplete_completion_is_an_error(fault: str, reason: str, tokenizer_file: Path) -> None:
    assert fault in FAULTS
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    with (
        faulty_completions(tokenizer, fault) as server,
        client(f"127.0.0.1:{server.server_port}", tokenizer_file) as http,
        pytest.raises(BenchFailure, match=reason),
    ):
        http.run(constant(prompts(tokenizer), 2, 1, 8))


def test_prompts_are_the_same_tokens_as_text(tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    found = cut_prompts(Namespace(root=ROOT), tokenizer_file, 20, 50)
    assert {len(prompt) for prompt in found} == {50}
    assert len({tuple(prompt) for prompt in found}) == 20
    for prompt in found:
        assert tokenizer.encode(tokenizer.decode(prompt), add_special_tokens=False).ids == prompt
    with pytest.raises(BenchFailure, match="not enough for 2 different prompts of 1000000"):
        cut_prompts(Namespace(root=ROOT), tokenizer_file, 2, 1_000_000)


def test_a_build_for_an_older_cpu_is_noticed() -> None:
    cpu = "processor: 0\nflags\t\t: fpu avx2 fma f16c avx512f avx512_vnni\n"
    everything = "CPU : AVX2 = 1 | F16C = 1 | FMA = 1 | AVX512 = 1 | AVX512_VNNI = 1 | "
    assert missing_instructions(cpu, everything) == []
    assert missing_instructions(cpu, "CPU : AVX2 = 1 | F16C = 1 | FMA = 1 | ") == ["AVX512", "AVX512_VNNI"]
    assert missing_instructions(cpu, everything.replace("AVX2 = 1", "AVX2 = 0")) == ["AVX2"]
    assert missing_instructions("flags : avx2", "CPU : AVX2 = 1 | ") == []
