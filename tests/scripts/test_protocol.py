"""The files of proto/ give stubs without anything else, and scripts/lint keeps them as released callers know them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import google.rpc
import pytest
from google.rpc import status_pb2

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
OWN = sorted(str(file.relative_to(PROTO)) for file in PROTO.glob("predictd/**/*.proto"))


def run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def grpc_plugin(language: str) -> str:
    path = shutil.which(f"grpc_{language}_plugin")
    assert path, f"grpc_{language}_plugin is not installed"
    return f"--plugin=protoc-gen-grpc={path}"


def test_python_stubs_use_the_google_rpc_that_python_has(tmp_path: Path) -> None:
    run("protoc", "-I", PROTO, f"--python_out={tmp_path}", f"--grpc_out={tmp_path}", grpc_plugin("python"), *OWN)
    (tmp_path / "caller.py").write_text(
        textwrap.dedent("""\
            from google.rpc import status_pb2
            from predictd.v1 import model_service_pb2_grpc, prediction_service_pb2, prediction_service_pb2_grpc

            assert prediction_service_pb2.DESCRIPTOR.dependencies[0] is status_pb2.DESCRIPTOR
            assert model_service_pb2_grpc.ModelServiceStub and prediction_service_pb2_grpc.PredictionServiceStub
            print(status_pb2.__file__)
        """)
    )
    assert run(sys.executable, tmp_path / "caller.py").strip() == status_pb2.__file__


def test_cpp_stubs_compile(tmp_path: Path) -> None:
    files = [*OWN, "google/rpc/status.proto"]
    run("protoc", "-I", PROTO, f"--cpp_out={tmp_path}", f"--grpc_out={tmp_path}", grpc_plugin("cpp"), *files)
    run("g++", "-std=c++17", "-fsyntax-only", "-I", tmp_path, tmp_path / "predictd/v1/prediction_service.grpc.pb.cc")


@pytest.mark.parametrize("file", ["google/rpc/status.proto", "google/rpc/error_details.proto"])
def test_google_rpc_is_that_of_googleapis(tmp_path: Path, file: str) -> None:
    """A program may then have been compiled with either, and one that registers both by accident has no conflict."""
    googleapis = Path(next(iter(google.rpc.__path__))).parents[1]
    for name, folder in (("ours", PROTO), ("theirs", googleapis)):
        run("protoc", "-I", folder, f"--descriptor_set_out={tmp_path / name}", file)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


# --- scripts/lint proto ---


def removed(proto: str) -> str:
    return proto.replace("  optional uint64 seed = 13;\n", "")


def renumbered(proto: str) -> str:
    return proto.replace("optional uint64 seed = 13;", "optional uint64 seed = 20;")


def retyped(proto: str) -> str:
    return proto.replace("optional uint64 seed = 13;", "optional string seed = 13;")


def added(proto: str) -> str:
    return proto.replace("  optional uint64 seed = 13;\n", "  optional uint64 seed = 13;\n  int32 more = 20;\n")


def lint_of(folder: Path, change: Callable[[str], str]) -> subprocess.CompletedProcess[str]:
    """What scripts/lint says of the protocol in which one file was changed."""
    shutil.copytree(PROTO, folder / "proto")
    (folder / "scripts").mkdir()
    for script in ("lint", "lib.sh"):
        shutil.copy(ROOT / "scripts" / script, folder / "scripts")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    file = folder / "proto/predictd/v1/generation.proto"
    before = file.read_text(encoding="utf-8")
    file.write_text(change(before), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != before
    command: list[str | Path] = [folder / "scripts" / "lint", "proto"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (removed, 'Previously present field "13" with name "seed" on message "GenerationRequest" was deleted'),
        (renumbered, 'Previously present field "13" with name "seed" on message "GenerationRequest" was deleted'),
        (retyped, 'Field "13" with name "seed" on message "GenerationRequest" changed type from "uint64" to "string"'),
    ],
)
def test_a_change_that_breaks_callers_fails(tmp_path: Path, change: Callable[[str], str], complaint: str) -> None:
    done = lint_of(tmp_path, change)
    assert done.returncode == 1
    assert complaint in done.stdout


def test_a_field_more_passes(tmp_path: Path) -> None:
    done = lint_of(tmp_path, added)
    assert done.returncode == 0, done.stdout
