"""scripts/checks/lock.py finds each way in which the lock files are not those of what they are made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.lock import check, inputs_digest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
HASH = f"--hash=sha256:{'0' * 64}"
COMMAND = "scripts/checks/lock.py --write"


@pytest.fixture(name="scripts")
def fixture_scripts(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("# What is wanted.\ntorch==1.0+cpu\nnumpy==2.0\n")
    (tmp_path / "archives.txt").write_text(f"# An archive.\nllm==1.0.post2 {HASH}\n")
    head = f"# inputs: {inputs_digest(tmp_path)}\n"
    (tmp_path / "requirements.lock").write_text(f"{head}numpy==2.0 {HASH}\npip-x==1 {HASH}\ntorch==1.0+cpu {HASH}\n")
    (tmp_path / "requirements-cuda.lock").write_text(f"{head}torch==1.0 {HASH}\n")
    return tmp_path


def test_locks_of_what_is_required_pass(scripts: Path) -> None:
    assert check(scripts) == []


def test_comments_and_order_do_not_count(scripts: Path) -> None:
    (scripts / "requirements.txt").write_text("numpy==2.0\n\n# Something else.\ntorch==1.0+cpu\n")
    assert check(scripts) == []


def test_the_repositorys_locks_pass() -> None:
    assert check(SCRIPTS) == []


@pytest.mark.parametrize(
    ("requirements", "missing"),
    [
        ("torch==1.0+cpu\nnumpy==2.1\n", ["requirements.lock: numpy==2.1 is not in it"]),
        ("torch==1.0+cpu\nnumpy==2.0\nruff==1\n", ["requirements.lock: ruff==1 is not in it"]),
        ("torch==1.0+cpu\n", []),
    ],
    ids=["changed", "added", "taken out"],
)
def test_other_requirements_are_found(scripts: Path, requirements: str, missing: list[str]) -> None:
    (scripts / "requirements.txt").write_text(requirements)
    stale = f"it is of other requirements.txt and archives.txt than these; {COMMAND} writes it anew"
    assert check(scripts) == [f"requirements.lock: {stale}", *missing, f"requirements-cuda.lock: {stale}"]


def test_another_archive_is_found(scripts: Path) -> None:
    (scripts / "archives.txt").write_text(f"llm==1.1 {HASH}\n")
    assert len(check(scripts)) == 2


@pytest.mark.parametrize("line", ["numpy==2.0", f"numpy>=2.0 {HASH}", f"numpy==2.0 {HASH}0", "--index-url https://x"])
@pytest.mark.parametrize("name", ["requirements.lock", "requirements-cuda.lock"])
def test_a_line_without_a_hash_is_found(scripts: Path, name: str, line: str) -> None:
    with (scripts / name).open("a") as lock:
        lock.write(f"{line}\n")
    number = len((scripts / name).read_text().splitlines())
    assert check(scripts) == [f"{name}:{number}: the line is not NAME==VERSION --hash=sha256:DIGEST"]


def test_an_archive_without_a_hash_is_found(scripts: Path) -> None:
    (scripts / "archives.txt").write_text("llm==1.0.post2\n")
    assert check(scripts)[0] == "archives.txt:1: the line is not NAME==VERSION --hash=sha256:DIGEST"


def test_a_lock_that_is_missing_is_found(scripts: Path) -> None:
    (scripts / "requirements-cuda.lock").unlink()
    assert check(scripts) == [f"requirements-cuda.lock: there is no such file; {COMMAND} writes it"]


def test_a_build_of_torch_that_is_not_named_is_found(scripts: Path) -> None:
    (scripts / "requirements.txt").write_text("torch==1.0\nnumpy==2.0\n")
    assert check(scripts)[0] == "requirements.txt: it does not ask for PyTorch's CPU build, torch==VERSION+cpu"
