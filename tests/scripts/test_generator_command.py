"""The command writes what it is asked for, does nothing twice, and says in one line what it cannot do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from generator_export.options import default_kernels
from tiny_models import END, tiny_model, write_gguf, write_safetensors

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "export_generator.py"


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "not finite"), (1e6, "do not fit half precision")])
def test_weights_that_cannot_be_computed_with_are_one_line(tmp_path: Path, value: float, message: str) -> None:
    model = tiny_model("llama")
    model.tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = value
    result = run(write_safetensors(tmp_path / "source", model), tmp_path / "out")
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not (tmp_path / "out" / "model.toml").exists()


def test_the_command_writes_the_folder_and_then_leaves_it(tmp_path: Path) -> None:
    source, out = write_safetensors(tmp_path / "tiny", tiny_model("qwen3")), tmp_path / "out"
    result = run(source, out, "--version", "3", "--slots", "5", "--max-length", "300")
    assert (result.returncode, result.stderr) == (0, "")
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {
        ".export-stamp",
        "model.toml",
        "3/model.pt",
        "3/tokenizer.json",
        "3/chat_template.jinja",
        "3/chat_template.json",
    }
    assert (out / "model.toml").read_text() == (
        'description = "tiny"\nkind = "generator"\n\n[generator]\nvocabulary_size = 320\nmax_length = 300\nslots = 5\n'
        f"end_token_ids = [{END}]\nadd_bos = true\nbos_token_id = 1\n"
    )
    assert (out / "3/tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    written = (out / "3/model.pt").stat().st_mtime_ns
    again = run(source, out, "--version", "3", "--slots", "5", "--max-length", "300")
    assert (again.returncode, again.stdout) == (0, f"{out}: is current\n")
    assert (out / "3/model.pt").stat().st_mtime_ns == written
    other = run(source, out, "--version", "3", "--description", 'A "model"', "--max-length", "400")
    assert other.returncode == 0
    settings = (out / "model.toml").read_text()
    assert settings.startswith('description = "A \\"model\\""\n')
    assert "max_length = 400\nslots = 16\n" in settings


def operators_of(version: Path) -> set[str]:
    """Whose operators the module calls."""
    with zipfile.ZipFile(version / "model.pt") as archive:
        code = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".py"))
    return {name for name in ("predictd", "quantized") if f"ops.{name}." in code}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"head_dim": 80}, "the heads' width is 80, not 32, 64, 96 or 128"),
        ({"hidden_size": 144, "head_dim": 32}, "the width is 144, not a multiple of 32"),
        ({"intermediate_size": 200}, "the feed forward width is 200, not a multiple of 32"),
    ],
)
def test_a_model_that_does_not_fit_the_operators_goes_without(
    tmp_path: Path, changes: dict[str, int], reason: str
) -> None:
    source = write_safetensors(tmp_path / "tiny", tiny_model("llama", **changes))
    # Nor does it need their library.
    result = run(source, tmp_path / "out", PREDICTD_KERNELS=str(tmp_path / "nowhere.so"))
    assert (result.returncode, result.stderr) == (0, f"note: uses LibTorch's own operators: {reason}\n")
    assert operators_of(tmp_path / "out" / "1") == {"quantized"}


def test_the_operators_are_a_choice(tmp_path: Path) -> None:
    source = write_safetensors(tmp_path / "tiny", tiny_model("llama"))
    for arguments, operators in (((), "predictd"), (("--operators", "plain"), "quantized")):
        result = run(source, tmp_path / "out", *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        assert operators_of(tmp_path / "out" / "1") == {operators}


def test_what_the_weights_lose_is_said(tmp_path: Path) -> None:
    source = write_safetensors(tmp_path / "tiny", tiny_model("llama"))
    result = run(source, tmp_path / "out", "--weights", "q4", "--cache", "f32")
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line for line in result.stdout.splitlines() if "stored as" in line]
    assert len(lines) == 2
    assert re.fullmatch(r"F32 stored as q4: relative RMS error [67]\.\d\de-02 over 21 tensors", lines[0])
    assert re.fullmatch(r"F32 stored as q8: relative RMS error [45]\.\d\de-03 over 1 tensors", lines[1])


def test_a_missing_library_is_one_line_that_says_what_to_build(tmp_path: Path) -> None:
    source, library = write_safetensors(tmp_path / "tiny", tiny_model("llama")), tmp_path / "nowhere.so"
    by_option = run(source, tmp_path / "out", "--kernels", library)
    by_environment = run(source, tmp_path / "out", PREDICTD_KERNELS=str(library))
    assert by_option.returncode == by_environment.returncode == 1
    assert by_option.stderr == by_environment.stderr
    assert by_option.stderr.startswith(f"export_generator.py: {library}: there is no such file: `ninja -C build ")
    assert by_option.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "model.toml").exists()


def test_what_is_no_library_is_one_line(tmp_path: Path) -> None:
    library = tmp_path / "text.so"
    library.write_text("no library")
    result = run(write_safetensors(tmp_path / "tiny", tiny_model("llama")), tmp_path / "out", "--kernels", library)
    assert result.returncode == 1
    assert result.stderr.startswith(f"export_generator.py: {library}: ")
    assert result.stderr.count("\n") == 1


def test_another_library_makes_the_export_again(tmp_path: Path) -> None:
    """It may want the weights in another order."""
    source = write_safetensors(tmp_path / "tiny", tiny_model("llama"))
    library = Path(shutil.copy(default_kernels(), tmp_path / "kernels.so"))
    arguments = (source, tmp_path / "out", "--kernels", library)
    assert run(*arguments).returncode == 0
    assert run(*arguments).stdout == f"{tmp_path / 'out'}: is current\n"
    with library.open("ab") as file:
        file.write(b"\0")
    assert "is current" not in run(*arguments).stdout


@pytest.mark.parametrize("option", [("--weights", "q8"), ("--cache", "f32")])
def test_plain_operators_have_no_choice_of_formats(tmp_path: Path, option: tuple[str, str]) -> None:
    result = run(tmp_path, tmp_path / "out", "--operators", "plain", *option)
    assert result.returncode == 2
    assert "--weights and --cache are for the fused operators" in result.stderr


def test_the_check_compares_with_the_reference(tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "tiny.gguf", tiny_model("qwen3", num_hidden_layers=1), "Q8_0")
    result = run(source, tmp_path / "out", "--check")
    assert re.search(
        r"^perplexity \S+, reference \S+, on \d+ tokens; divergence \S+, logits", result.stdout, re.MULTILINE
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere.gguf", "out"], "/nowhere.gguf: there is no such file or folder"),
        (["tiny", "out", "--max-length", "2049"], "positions end at 2048"),
    ],
)
def test_errors_of_the_command_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_safetensors(tmp_path / "tiny", tiny_model("llama"))
    result = run(
        *(argument if argument[0] in "/-" or argument.isdigit() else tmp_path / argument for argument in arguments)
    )
    assert result.returncode == 1
    assert result.stderr.startswith("export_generator.py: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_chat_template_is_a_choice(tmp_path: Path) -> None:
    source, out = write_safetensors(tmp_path / "tiny", tiny_model("llama", num_hidden_layers=1)), tmp_path / "out"
    (tmp_path / "own.jinja").write_text("{{ messages[0].content }}!")
    for template, expected in ((tmp_path / "own.jinja", "{{ messages[0].content }}!"), ("none", None)):
        result = run(source, out, "--chat-template", template)
        assert (result.returncode, result.stderr) == (0, "")
        file = out / "1" / "chat_template.jinja"
        assert (file.read_text() if file.exists() else None) == expected
        assert (out / "1" / "chat_template.json").exists() == (expected is not None)
    missing = run(source, out, "--chat-template", tmp_path / "nowhere.jinja")
    assert missing.returncode == 1
    assert "--chat-template takes a file" in missing.stderr


def test_what_the_server_would_refuse_is_not_made(tmp_path: Path) -> None:
    source, out = (
        write_safetensors(tmp_path / "tiny", tiny_model("llama", num_hidden_layers=1)),
        tmp_path / "new" / "out",
    )
    good = (source / "tokenizer.json").read_text()
    bad = good.replace('"type": "ByteLevel"', '"type": "Whitespaces"', 1)
    assert bad != good
    (source / "tokenizer.json").write_text(bad)
    refused = run(source, out)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"export_generator.py: {source}: predictd would refuse the model: version 1: ")
    assert "tokenizer.json: " in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not out.parent.exists()
    # What was there stays as it was.
    (source / "tokenizer.json").write_text(good)
    assert run(source, out).returncode == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".export-stamp"}
    (source / "tokenizer.json").write_text(bad)
    assert run(source, out).returncode == 1
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = write_safetensors(tmp_path / "tiny", tiny_model("llama", num_hidden_layers=1))
    result = run(source, tmp_path / "out", PREDICTD=str(tmp_path / "nowhere"))
    assert result.returncode == 1
    assert "nowhere: No such file or directory: PREDICTD says where predictd is" in result.stderr


def test_defaults_of_sampling_go_to_the_settings(tmp_path: Path) -> None:
    source = write_safetensors(tmp_path / "tiny", tiny_model("llama", num_hidden_layers=1))
    (source / "generation_config.json").write_text('{"do_sample": true, "temperature": 0.6, "top_k": 50, "top_p": 0}')
    result = run(source, tmp_path / "out")
    assert result.returncode == 0
    assert result.stderr == "note: generation_config.json: top_p is 0, which the server does not take: left out\n"
    settings = (tmp_path / "out" / "model.toml").read_text()
    assert settings.endswith("\n\n[generator.defaults]\ntemperature = 0.6\ntop_k = 50\n")
