"""predictctl changes what a real server serves, watches it, and checks folders without a server."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import grpc
import pytest

from changing_models import CONFIG, Repository
from predictctl import INTERRUPTED, PREDICTCTL, USAGE, failed_with, json_of, predictctl
from predictd_process import BINARY, TEST_MODELS, PredictdProcess, eventually


@pytest.fixture(name="repository")
def fixture_repository(tmp_path: Path) -> Repository:
    """`scale` has the versions 1 and 2, and `other` version 3."""
    repository = Repository(tmp_path)
    repository.configure("scale", 'version_policy = "all"' + CONFIG)
    repository.add("scale", 2)
    repository.configure("other")
    repository.add("other", 3)
    return repository


@pytest.fixture(name="controlled")
def fixture_controlled(repository: Repository) -> Iterator[PredictdProcess]:
    """A server whose models are loaded by request; `other` is not loaded yet."""
    with PredictdProcess(repository.path, flags=["--model-control=explicit", "--load-model=scale"]) as server:
        yield server


def answer(server: PredictdProcess, model: str, *options: str) -> tuple[int, float]:
    """The version that answers, and the factor by which it multiplies."""
    document = json_of(predictctl(server, "--json", "predict", model, "--input", "[[1]]", *options))
    response = document["response"]
    return int(response["model_version"]), response["outputs"][0]["float_values"][0]


def listed(server: PredictdProcess, model: str) -> str:
    """The model's line of the table."""
    (line,) = (line for line in predictctl(server, "models").stdout.splitlines() if line.startswith(f"{model} "))
    return line


# --- load, unload, reload ---


def test_a_model_is_loaded_and_unloaded(controlled: PredictdProcess) -> None:
    assert "not loaded" in listed(controlled, "other")
    assert "not loaded: predictctl load other\n" in predictctl(controlled, "model", "other").stdout
    result = predictctl(controlled, "load", "other")
    assert (result.returncode, result.stdout, result.stderr) == (0, "other  3 ready\n", "")
    assert answer(controlled, "other") == (3, 3)
    document = json_of(predictctl(controlled, "--json", "unload", "other"))
    assert document["response"]["name"] == "other"
    assert "loaded" not in document["response"], "false is left out"
    result = predictctl(controlled, "predict", "other", "--input", "[[1]]")
    assert result.returncode == failed_with(grpc.StatusCode.UNAVAILABLE)
    eventually(lambda: "not loaded" in listed(controlled, "other"), 20, "the model to be unloaded")
    assert answer(controlled, "scale") == (2, 2)


def test_a_reload_takes_what_has_changed(controlled: PredictdProcess, repository: Repository) -> None:
    repository.remove("scale", 2)
    repository.add("scale", 2, factor=5)
    assert answer(controlled, "scale") == (2, 2)
    result = predictctl(controlled, "reload", "scale")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("scale  2 ready, ")
    assert answer(controlled, "scale") == (2, 5)


def test_what_cannot_be_loaded_says_why_and_changes_nothing(
    controlled: PredictdProcess, repository: Repository
) -> None:
    repository.configure("scale", CONFIG.replace("= 8", "= -3"))
    for command in ("load", "reload"):
        result = predictctl(controlled, command, "scale")
        assert result.returncode == failed_with(grpc.StatusCode.FAILED_PRECONDITION)
        assert "max_batch_size" in result.stderr
    assert answer(controlled, "scale") == (2, 2)
    result = predictctl(controlled, "load", "nobody")
    assert result.returncode == failed_with(grpc.StatusCode.NOT_FOUND)


def test_a_server_that_follows_its_folders_is_not_told_what_to_serve(server: PredictdProcess) -> None:
    for command in (["load"], ["unload"], ["reload"], ["split", "--reset"]):
        result = predictctl(server, *command, "linear")
        assert result.returncode == failed_with(grpc.StatusCode.PERMISSION_DENIED)
        assert "hint: use the address of the --control-listen of predictd" in result.stderr


# --- split ---


def test_a_split_says_which_version_answers(controlled: PredictdProcess) -> None:
    assert "all go to the newest version that is ready" in predictctl(controlled, "split", "scale").stdout
    result = predictctl(controlled, "split", "scale", "1=3", "2=0")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "scale: requests that name no version\n"
        "  VERSION  WEIGHT  PART\n"
        "  1        3       100%\n"
        "  2        0       0%\n"
        "to go back: predictctl split scale --reset\n"
    )
    assert answer(controlled, "scale") == (1, 1)
    assert answer(controlled, "scale", "--version=2") == (2, 2)
    assert "1=3 2=0" in listed(controlled, "scale")
    assert "  1        3       100%\n" in predictctl(controlled, "model", "scale").stdout
    response = json_of(predictctl(controlled, "--json", "split", "scale", "--reset"))["response"]
    assert [share.get("weight", "0") for share in response["previous"]["shares"]] == ["3", "0"]
    assert answer(controlled, "scale") == (2, 2)


def test_all_of_a_split_is_kept(controlled: PredictdProcess) -> None:
    split = ["1=9", "2=1", "--shadow", "2=0.25", "--rollback-to", "1", "--max-failure-excess", "0.02"]
    split += ["--max-latency-ratio", "1.5", "--min-requests", "1000"]
    assert predictctl(controlled, "split", "scale", *split).returncode == 0
    shown = predictctl(controlled, "split", "scale")
    assert "2 gets copies of 25% of the requests\n" in shown.stdout
    assert "2% more of its requests fail, or they take 1.5 times as long (after 1000 of each)" in shown.stdout
    result = predictctl(controlled, "split", "scale", "2=1")
    assert result.stdout.endswith(f"to go back: predictctl split scale {' '.join(split)}\n")


def test_a_wrong_split_changes_nothing(controlled: PredictdProcess) -> None:
    for wrong, code in [
        (["1=0"], grpc.StatusCode.INVALID_ARGUMENT),
        (["1=1", "--shadow", "2=1.5"], grpc.StatusCode.INVALID_ARGUMENT),
        (["9=1"], grpc.StatusCode.FAILED_PRECONDITION),
    ]:
        assert predictctl(controlled, "split", "scale", *wrong).returncode == failed_with(code), wrong
    assert answer(controlled, "scale") == (2, 2)


# --- models --watch ---


def start_watch(server: PredictdProcess, *arguments: str) -> tuple[subprocess.Popen[str], IO[str]]:
    process = subprocess.Popen(
        [PREDICTCTL, f"--address={server.address}", "models", "--watch", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout


def read_until(lines: IO[str], wanted: Callable[[str], bool]) -> list[str]:
    """The lines up to the first that is wanted."""
    seen = []
    for line in lines:
        seen.append(line.rstrip("\n"))
        if wanted(line):
            return seen
    raise AssertionError(f"not what is wanted: {seen}")


def test_a_watch_prints_changes_until_ctrl_c(controlled: PredictdProcess) -> None:
    process, lines = start_watch(controlled)
    assert lines.readline() == "other  not loaded\n"
    assert lines.readline() == "scale  2 ready, 1 ready\n"
    assert predictctl(controlled, "load", "other").returncode == 0
    seen = read_until(lines, lambda line: line == "other  3 ready\n")
    assert all(line.startswith("other  3 ") for line in seen), seen
    assert predictctl(controlled, "split", "scale", "1=1").returncode == 0
    read_until(lines, lambda line: line == "scale  2 ready, 1 ready  1=1\n")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert "interrupted, the call was cancelled" in err


def test_a_watch_in_json_ends_with_the_server(repository: Repository) -> None:
    with PredictdProcess(repository.path, flags=["--model-control=explicit", "--load-model=scale"]) as server:
        process, lines = start_watch(server, "--json", "scale")
        first: dict[str, Any] = json.loads(lines.readline())
        assert first["model"]["name"] == "scale"
        assert json.loads(lines.readline()) == {"started": {"models": "1"}}
        server.stop()
        out, err = process.communicate(timeout=30)
    assert process.returncode == failed_with(grpc.StatusCode.UNAVAILABLE)
    assert json.loads(out.splitlines()[-1])["end"]["code"] == "UNAVAILABLE"
    assert "hint: the server has gone" in err


# --- validate ---


def validate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [PREDICTCTL, "validate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_folder_is_checked_without_a_server(tmp_path: Path) -> None:
    result = validate(TEST_MODELS / "linear")
    assert (result.returncode, result.stderr) == (0, "")
    assert "linear" in result.stdout
    again = validate(TEST_MODELS / "linear", "--predictd", BINARY)
    # How long it took is another time.
    assert (again.returncode, again.stdout.split()[0]) == (0, result.stdout.split()[0])
    (tmp_path / "model.toml").write_text("wrong = true")
    result = validate(tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "model.toml" in result.stderr


def test_options_behind_two_dashes_are_those_of_predictd() -> None:
    result = validate(TEST_MODELS / "linear", "--", "--frobnicate")
    assert result.returncode == 2
    assert "--frobnicate" in result.stderr
    assert "predictctl" not in result.stderr


def test_a_predictd_that_cannot_be_run_is_named() -> None:
    result = validate("models/m", "--predictd", "/nonexistent/predictd")
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert result.stderr.startswith("predictctl: /nonexistent/predictd cannot be run: No such file or directory")


def test_predictd_is_found_in_path(tmp_path: Path) -> None:
    alone = shutil.copy(PREDICTCTL, tmp_path / "predictctl")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "predictd").write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    (tmp_path / "bin" / "predictd").chmod(0o755)
    result = subprocess.run(
        [alone, "validate", "folder", "--", "--workers=2"],
        env={"PATH": f"{tmp_path / 'bin'}:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stdout) == (7, "--check-model=folder --workers=2\n")
