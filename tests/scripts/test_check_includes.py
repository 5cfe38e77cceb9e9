"""scripts/checks/includes.py finds each way to break the dependency rules, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "checks" / "includes.py"

# A file of each part with everything that it may include.
ALLOWED = {
    "server/main.cc": [
        "server/server.h",
        "server/config/flags.h",
        "server/process/signals.h",
        "server/telemetry/log.h",
    ],
    "server/process/signals.h": ["server/telemetry/log.h"],
    "server/http/server.h": ["server/async/task.h", "server/config/config.h"],
    "server/server.h": ["server/config/config.h"],
    "server/wiring.h": ["server/engine/engine.h", "server/telemetry/log.h"],
    "server/server.cc": ["server/server.h", "server/wiring.h", "server/rpc/server.h", "server/torch/model.h"],
    "server/config/config.h": ["server/config/flags.h", "toml++/toml.h", "CLI/CLI.hpp"],
    "server/config/sources.cc": ["server/files/toml_file.h"],
    "server/files/toml_file.h": ["toml++/toml.h"],
    "server/model/model_config.cc": ["server/files/toml_file.h"],
    "server/config/flags.h": [],
    "server/async/task.h": ["server/async/stop.h", "absl/base/thread_annotations.h"],
    "server/async/stop.h": [],
    "server/telemetry/log.h": ["server/async/task.h", "server/config/config.h"],
    "server/telemetry/log.cc": ["prometheus/counter.h", "server/telemetry/exporter_factory.h"],
    "server/telemetry/exporter.h": ["opentelemetry/sdk/trace/exporter.h"],
    "server/telemetry/exporter_factory.h": ["server/telemetry/exporter.h"],
    "server/model/model.h": ["server/async/task.h", "server/telemetry/log.h", "server/config/config.h"],
    "server/torch/model.h": ["server/model/model.h"],
    "server/torch/tensor.h": ["ATen/core/ivalue.h", "server/model/model.h"],
    "server/torch/model.cc": ["server/torch/tensor.h", "torch/script.h", "c10/core/InferenceMode.h"],
    "server/kernels/operators.cc": ["torch/library.h"],
    "server/engine/engine.h": ["server/model/model.h", "server/async/task.h"],
    "server/generation/scheduler.h": ["server/model/model.h", "server/async/task.h"],
    "server/rpc/server.h": ["grpcpp/grpcpp.h", "predictd/v1/tensor.pb.h", "google/rpc/status.pb.h"],
    "server/rpc/call.cc": ["server/rpc/server.h", "server/telemetry/log.h"],
    "server/services/predict.cc": ["server/engine/engine.h", "server/generation/scheduler.h", "server/rpc/server.h"],
    "client/client.h": ["grpcpp/grpcpp.h", "predictd/v1/prediction_service.grpc.pb.h", "client/shape.h"],
    "client/predictctl/main.cc": ["client/client.h", "CLI/CLI.hpp"],
    "client/shape.h": [],
    "tests/rpc/call_test.cc": ["server/rpc/server.h", "client/client.h", "torch/script.h", "prometheus/counter.h"],
}

# File, the line in it that breaks a rule, and what the message must name beside them.
BROKEN = [
    ("server/async/task.h", '#include "server/model/model.h"', "async may include those of"),
    ("server/async/task.h", '#include "server/telemetry/log.h"', "async may include those of"),
    ("server/config/config.h", '#include "server/rpc/server.h"', "config may include those of"),
    ("server/files/toml_file.h", '#include "server/telemetry/log.h"', "files may include those of"),
    ("server/telemetry/log.h", '#include "server/engine/engine.h"', "telemetry may include those of"),
    ("server/http/server.h", '#include "server/telemetry/log.h"', "http may include those of"),
    ("server/process/signals.h", '#include "server/server.h"', "process may include those of"),
    ("server/model/model.h", '#include "server/engine/engine.h"', "model may include those of"),
    ("server/engine/engine.h", '#include "server/generation/scheduler.h"', "engine may include those of"),
    ("server/engine/engine.h", '#include "server/rpc/server.h"', "engine may include those of"),
    ("server/generation/scheduler.h", '#include "server/engine/engine.h"', "generation may include those of"),
    ("server/rpc/call.cc", '#include "server/server.h"', "rpc may include those of"),
    ("server/rpc/call.cc", '#include "server/model/model.h"', "rpc may include those of"),
    ("server/rpc/call.cc", '#include "server/services/predict.h"', "rpc may include those of"),
    ("server/main.cc", '#include "server/rpc/server.h"', "main may include those of"),
    ("server/engine/engine.h", "#include <grpcpp/grpcpp.h>", "gRPC"),
    ("server/server.cc", "#include <grpcpp/grpcpp.h>", "gRPC"),
    ("server/async/task.h", "  #  include <grpc/grpc.h>", "gRPC"),
    ("server/model/model.h", '#include "predictd/v1/tensor.pb.h"', "protobuf"),
    ("server/generation/scheduler.h", "#include <google/protobuf/message.h>", "protobuf"),
    ("server/engine/engine.h", "#include <torch/script.h>", "LibTorch"),
    ("server/model/model.h", "#include <ATen/ATen.h>", "LibTorch"),
    ("server/rpc/call.cc", "#include <c10/core/Device.h>", "LibTorch"),
    ("server/rpc/call.cc", '#include "server/torch/model.h"', "rpc may include those of"),
    ("server/server.cc", '#include "server/torch/tensor.h"', "shows LibTorch"),
    ("server/rpc/call.cc", '#include "server/telemetry/exporter.h"', "shows OpenTelemetry"),
    ("server/rpc/call.cc", '#include "server/telemetry/exporter_factory.h"', "shows OpenTelemetry"),
    ("server/rpc/call.cc", "#include <prometheus/counter.h>", "prometheus"),
    ("server/engine/engine.h", "#include <opentelemetry/trace/span.h>", "OpenTelemetry"),
    ("client/client.h", '#include "server/model/model.h"', "share only proto/"),
    ("server/rpc/call.cc", '#include "client/client.h"', "share only proto/"),
    ("client/client.h", "#include <torch/script.h>", "LibTorch"),
    ("client/client.h", "#include <prometheus/counter.h>", "prometheus"),
    ("server/engine/engine.h", '#include "batch.h"', "path from the root"),
    ("server/engine/engine.h", '#include "../model/model.h"', "path from the root"),
    ("server/engine/engine.h", '#include "tests/fakes/fake_clock.h"', "nothing from tests/"),
    ("server/surprise/new.h", '#include "server/async/task.h"', "has no rule"),
]


def write_tree(root: Path) -> None:
    for file, includes in ALLOWED.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        quoted = ("server/", "client/", "predictd/", "google/rpc/", "absl/")
        path.write_text(
            "// A comment may say #include <torch/torch.h>.\n"
            + "".join(f'#include "{x}"\n' if x.startswith(quoted) else f"#include <{x}>\n" for x in includes)
        )


def run(root: Path) -> tuple[int, list[str]]:
    result = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True, check=False)
    assert not result.stderr
    return result.returncode, result.stdout.splitlines()


def test_a_tree_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    write_tree(tmp_path)
    assert run(tmp_path) == (0, ["include rules: 0 violations"])


@pytest.mark.parametrize(("file", "line", "message"), BROKEN)
def test_each_broken_rule_is_one_line_that_names_file_and_rule(
    tmp_path: Path, file: str, line: str, message: str
) -> None:
    write_tree(tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    content = path.read_text() if path.exists() else ""
    path.write_text(content + line + "\n")
    code, output = run(tmp_path)
    assert code == 1
    assert len(output) == 2, output
    assert output[0].startswith(f"{file}:{content.count(chr(10)) + 1}: ")
    assert message in output[0]
    assert output[1] == "include rules: 1 violations"


def test_this_repository_keeps_the_rules() -> None:
    assert run(SCRIPT.parents[2]) == (0, ["include rules: 0 violations"])


def test_room_that_holds_too_much_is_named(tmp_path: Path) -> None:
    for room, lines in (("engine", 300), ("model", 140), ("rpc", 140), ("async", 140), ("files", 140), ("text", 140)):
        path = tmp_path / "server" / room / "a.cc"
        path.parent.mkdir(parents=True)
        path.write_text("\n" * lines)
    code, output = run(tmp_path)
    assert code == 1
    assert output == [
        "server/engine holds 300 of 1000 lines, and 15% is the most for one room",
        "include rules: 1 violations",
    ]


def test_folder_without_sources_is_an_error(tmp_path: Path) -> None:
    code, output = run(tmp_path)
    assert code == 1
    assert output == [f"{tmp_path} has no sources in server/ or client/", "include rules: 1 violations"]
