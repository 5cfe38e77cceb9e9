"""predictd --check-model reads a model's folder as the server does, says what it found, and ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from generation import NAME
from predictd_process import TEST_MODELS, run_predictd


def test_a_model_that_would_be_taken_is_named() -> None:
    result = run_predictd(f"--check-model={TEST_MODELS / 'linear'}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{TEST_MODELS / 'linear'}: a tensor model, version 1\n"


def test_a_generator_is_read_without_its_weights(generators: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(generators / NAME, tmp_path / NAME)
    (folder / "1" / "model.pt").write_bytes(b"")
    result = run_predictd(f"--check-model={folder}")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder}: a generator, version 1\n", "")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("1/tokenizer.json", "{}", "version 1: tokenizer.json: "),
        ("1/chat_template.json", "{}", "version 1: chat_template.json: "),
        ("model.toml", 'kind = "generator"', "model.toml: "),
        ("model.toml", None, "model.toml"),
        ("1/model.pt", None, "version 1: expected either model.pt or model.pt2, found neither"),
    ],
)
def test_what_the_server_would_refuse_is_one_line(
    generators: Path, tmp_path: Path, file: str, content: str | None, reason: str
) -> None:
    folder = shutil.copytree(generators / NAME, tmp_path / NAME)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    result = run_predictd(f"--check-model={folder}")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{folder}: ")
    assert result.stderr.count("\n") == 1
    assert reason in result.stderr
