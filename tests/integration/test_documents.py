"""What the documents show works as it stands there, and what they list is what there is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import numpy
import pytest

from predictctl import PREDICTCTL
from predictd_process import DEMO_MODELS, PredictdProcess, eventually, run_predictd
from protocol import ROOT, float_tensor, predict_request

FRONT_PAGE = "README.md"
CLIENT = "client/README.md"
MODEL = "server/model/README.md"
RUNNING = "deploy/README.md"
# What the shared server does not have, and what only stands for what a caller has.
NOT_HERE = ("smollm2", "...", "FILE", "split digits")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[str]:
    """The indented blocks, without their indent."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", text_of(document), flags=re.MULTILINE)
    return [textwrap.dedent(block).strip() for block in found if block.strip()]


def commands(document: str, program: str) -> list[str]:
    """What is typed after a prompt: lines that end with \\, or within quotes, go on."""
    found = []
    for block in blocks(document):
        lines = iter(block.splitlines())
        for line in lines:
            if not line.startswith(f"$ {program} "):
                continue
            command = line[2:]
            while command.endswith("\\") or command.count("'") % 2:
                command += "\n" + next(lines)
            found.append(command)
    return [command for command in found if not any(word in command for word in NOT_HERE)]


def shown(program: str) -> list[str]:
    found = [command for document in (FRONT_PAGE, CLIENT) for command in commands(document, program)]
    assert found, f"no document shows {program}"
    return found


def run_in_shell(command: str, server: PredictdProcess) -> subprocess.CompletedProcess[str]:
    command = command.replace("localhost:8500", server.address)
    command = command.replace("build/bin/predictctl", f"{shlex.quote(str(PREDICTCTL))} --address={server.address}")
    path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_program_in_python_predicts(server: PredictdProcess) -> None:
    (program,) = (block for block in blocks(CLIENT) if block.startswith("import grpc\n"))
    assert "localhost:8500" in program
    program = program.replace("localhost:8500", server.address)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert 'name: "probabilities"' in result.stdout


def test_a_version_is_added_and_gets_some_of_the_traffic(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(FRONT_PAGE) if "models/.new" in block)
    shutil.copytree(DEMO_MODELS / "digits", tmp_path / "models" / "digits")
    (tmp_path / "build").symlink_to(PREDICTCTL.parents[1])
    port_file = tmp_path / "control-port"
    flags = ["--control-listen=127.0.0.1:0", f"--control-port-file={port_file}", "--repository-settle-time=100ms"]
    with PredictdProcess(tmp_path / "models", flags=flags) as server:

        def run(line: str) -> str:
            done = subprocess.run(
                ["bash", "-c", line.removeprefix("$ ")], cwd=tmp_path, env=os.environ | environment,
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (line, done.stderr)
            return done.stdout

        environment = {"PREDICTD_ADDRESS": server.address}
        for line in block.splitlines():
            if "export" in line:
                assert line == "$ export PREDICTD_ADDRESS=localhost:8502"
                environment = {"PREDICTD_ADDRESS": f"127.0.0.1:{int(port_file.read_text())}"}
            else:
                run(line)
            if "models/.new" in line:
                eventually(lambda: "3 ready" in run("build/bin/predictctl models"), 60, "version 3")
            if "2=90" in line:
                request = predict_request("digits", float_tensor("image", numpy.zeros((1, 1, 8, 8))))
                versions = Counter(server.client.predict(request).model_version for _ in range(100))
                assert set(versions) == {2, 3}
                assert abs(versions[3] - 10) <= 2


def test_the_program_in_cpp_predicts(server: PredictdProcess) -> None:
    example = PREDICTCTL.parents[1] / "client/examples/predict"
    result = subprocess.run([example, server.address], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.split()) == 10


@pytest.mark.parametrize("command", shown("build/bin/predictctl"))
def test_commands_of_predictctl_work(server: PredictdProcess, command: str) -> None:
    result = run_in_shell(command, server)
    assert (result.returncode, bool(result.stdout)) == (0, True), result.stderr


@pytest.mark.parametrize("command", [*shown("grpcurl"), *shown("buf")])
def test_commands_of_stock_clients_work(server: PredictdProcess, command: str) -> None:
    result = run_in_shell(command, server)
    # The one that is shown for its error shows also that.
    (line,) = re.findall(r"^ +Message: (.*)", text_of(CLIENT), flags=re.MULTILINE)
    if '"linear"' in command:
        assert line in result.stderr + result.stdout
    else:
        assert (result.returncode, bool(result.stdout)) == (0, True), result.stderr


@pytest.mark.parametrize("beginning", ["description = ", 'kind = "generator"', "[[inputs]]"])
def test_examples_of_model_toml_are_read(tmp_path: Path, beginning: str) -> None:
    (example,) = (block for block in blocks(MODEL) if block.startswith(beginning))
    for commented in (False, True):
        folder = tmp_path / f"commented-{commented}" / "example"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.pt").touch()
        # A key that is commented out is one that may be there, but for three that want other inputs.
        shows = (
            re.sub(r"^# (?!batched|allow_empty|optional)(?=\w+ = )", "", example, flags=re.MULTILINE)
            if commented
            else example
        )
        (folder / "model.toml").write_text(shows, encoding="utf-8")
        result = run_predictd(f"--check-model-files={folder}")
        # A generator's reader goes on to the tokenizer, which is not there.
        assert result.returncode == 0 or "tokenizer" in result.stderr, result.stderr
        assert "model.toml" not in result.stderr


def test_all_keys_of_model_toml_are_documented() -> None:
    readers = ("model_config.cc", "signature_config.cc", "warm_up_config.cc", "generator_reader.cc")
    source = "".join((ROOT / "server/model" / name).read_text(encoding="utf-8") for name in readers)
    read = set(re.findall(r'\b(?:Read\w*(?:<[\w:]+>)?|Find)\(\s*(?:reader, )?"(\w+)"', source))
    assert {"max_batch_size", "pad_to", "slots", "top_k"} <= read
    documented = set(re.findall(r"^\| `(\w+)` \|", text_of(MODEL), flags=re.MULTILINE))
    assert read - documented == {"inputs", "outputs", "generator", "defaults"}
    assert not documented - read


@pytest.mark.parametrize("document", [FRONT_PAGE, MODEL, RUNNING])
def test_options_of_predictd_exist(document: str) -> None:
    offered = set(re.findall(r"--[a-z-]+", run_predictd("--help").stdout))
    text = text_of(document)
    named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w*])", text)) - OF_OTHER_PROGRAMS
    assert named <= offered


# --cache is the exporter's, --serve the demo's, --config and those after it CMake's, --watch and --reset predictctl's;
# the others are those of commands that are run above.
OF_OTHER_PROGRAMS = {"--cache", "--serve", "--input", "--rows", "--output", "--argmax", "--system"}
OF_OTHER_PROGRAMS |= {"--config", "--install", "--prefix", "--component", "--watch", "--reset"}
