"""The real model: its exported form gives text the likelihood that the reference gives it, and answers a question."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from generator_export.check import FUSED, PLAIN, compare
from generator_export.gguf_source import read_gguf
from generator_export.kernels import load_kernels
from generator_export.options import default_kernels
from generator_export.smollm2 import smollm2_gguf

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT / "tests" / "generation" / "data" / "perplexity.txt"

pytestmark = pytest.mark.usefixtures("one_thread")


def export(out: Path, *options: str) -> str:
    """Returns what it prints."""
    command = [sys.executable, str(ROOT / "scripts" / "export_generator.py"), "--smollm2", str(out), *options]
    return subprocess.run(command, check=True, timeout=600, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    load_kernels(default_kernels())
    out = tmp_path_factory.mktemp("smollm2")
    # The file's matrices have formats of the operators: nothing is lost.
    assert "stored as" not in export(out)
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "1" / "tokenizer.json"))


def test_the_text_is_as_likely_as_by_the_reference(folder: Path, tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(TEXT.read_text(encoding="utf-8")).ids
    comparison = compare(folder / "1" / "model.pt", read_gguf(smollm2_gguf()).checkpoint, tokens)
    print(comparison)
    assert comparison.tokens >= 5000
    # With weights in the wrong places it is in the thousands.
    assert 5 < comparison.reference_perplexity < 25
    assert comparison.within(FUSED), str(comparison)


def test_the_plain_module_is_closer_to_the_reference(tokenizer: Tokenizer, tmp_path: Path) -> None:
    export(tmp_path, "--operators", "plain")
    tokens = tokenizer.encode(TEXT.read_text(encoding="utf-8")).ids
    # Parts of the text, of which there are more: this takes long.
    chosen = [token for begin in (0, 3000) for token in tokens[begin : begin + 256]]
    comparison = compare(tmp_path / "1" / "model.pt", read_gguf(smollm2_gguf()).checkpoint, chosen, 256)
    assert comparison.tokens == 2 * 224
    assert comparison.within(PLAIN), str(comparison)


def test_it_answers_by_its_chat_template(folder: Path, tokenizer: Tokenizer) -> None:
    settings = (folder / "model.toml").read_text()
    assert (
        "vocabulary_size = 49152\nmax_length = 2048\nslots = 16\nend_token_ids = [0, 2, 4]\nadd_bos = false\n"
        in settings
    )
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    model = torch.jit.load(folder / "1" / "model.pt")
    with torch.inference_mode():
        cache = model.make_cache(1, 128)
        answer, tokens, position = list[int](), tokenizer.encode(prompt).ids, 0
        while len(answer) < 40 and 2 not in answer:
            positions = torch.arange(position, position + len(tokens)).view(1, -1)
            logits = model(torch.tensor([tokens]), positions, 0, cache)
            position += len(tokens)
            tokens = [int(logits.argmax())]
            answer += tokens
    assert answer[-1] == 2
    assert "Paris" in tokenizer.decode(answer)
