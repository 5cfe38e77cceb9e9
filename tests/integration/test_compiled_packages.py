"""AOTInductor packages are served with the answers that PyTorch itself gives, or refused with the reason."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
import torch

from compiled_kinds import PACKAGES, Twice, compile_all, compiled, floats, operator_library, spec
from model_folder import TensorSpec, model_toml
from predictd_process import PredictdProcess, run_predictd
from protocol import (
    Parameter,
    PredictStreamRequest,
    collect,
    field_violations,
    predict_request,
    raw_tensor,
    rpc_error,
    state_name,
    to_arrays,
)

RAW = {"output_encoding": Parameter(string_value="raw")}
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Served:
    """A package with a model.toml that suits it."""

    name: str
    package: str
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    request: Tensors
    # How eager PyTorch is called, and what it returns as the outputs in their order.
    eager: Callable[[Any, Tensors], Sequence[Any]]
    settings: dict[str, Any]


def served(
    name: str,
    package: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    request: Tensors,
    eager: Callable[[Any, Tensors], Sequence[Any]],
    **settings: Any,
) -> Served:
    return Served(name, package, inputs, outputs, request, eager, settings)


SCALED = {"x": floats(3, 4), "scale": floats(3, 1), "shift": floats(3, 1) + 2}
TYPES = "flag BOOL, u8 UINT8, i8 INT8, i16 INT16, i32 INT32, i64 INT64, f16 FP16, bf16 BF16, f32 FP32, f64 FP64".split(
    ", "
)
TORCH_TYPES = [argument.dtype for argument in PACKAGES["types"].arguments]
TOKENS = spec("tokens INT64 -1 -1", pad_to=[8, 16, 128])


def scaled(module: Any, r: Tensors) -> dict[str, torch.Tensor]:
    return module(r["x"], scale=r["scale"], shift=r["shift"])


def nested_outputs(y: Any) -> tuple[torch.Tensor, ...]:
    return y["p"][2][0], y["o"], y["p"][0]


def number_outputs(y: Any) -> tuple[torch.Tensor, ...]:
    return y["o"], torch.tensor(y["p"][2][1])


SERVED = [
    served(
        "keywords",
        "scaled",
        [spec("x FP32 -1 4"), spec("scale FP32 -1 1"), spec("shift FP32 -1 1")],
        [spec("low FP32 -1 1"), spec("high FP32 -1 1")],
        SCALED,
        lambda m, r: [scaled(m, r)[key] for key in ("low", "high")],
    ),
    served(
        "keywords_in_another_order",
        "scaled",
        [spec("shift FP32 -1 1"), spec("x FP32 -1 4"), spec("scale FP32 -1 1")],
        [spec("high FP32 -1 1"), spec("y FP32 -1 4"), spec("low FP32 -1 1")],
        SCALED,
        lambda m, r: [scaled(m, r)[key] for key in ("high", "y", "low")],
    ),
    served(
        "nested",
        "nested",
        [spec("b FP32 -1 4"), spec("first FP32 -1 4"), spec("a FP32 -1 4"), spec("second FP32 -1 2")],
        [spec("p.2.0 FP32 -1 2"), spec("o FP32 -1 4"), spec("p.0 FP32 -1 4")],
        {"b": floats(2, 4), "first": floats(2, 4) + 1, "a": floats(2, 4) * 5, "second": floats(2, 2)},
        lambda m, r: nested_outputs(m(r, [r["first"], r["second"]], 3)),
    ),
    served(
        "numbers",
        "nested",
        [spec("a FP32 4 4"), spec("b FP32 4 4"), spec("c FP32 4 4"), spec("d FP32 4 2")],
        [spec("o FP32 4 4"), spec("p.2.1 INT64")],
        {"a": floats(4, 4), "b": floats(4, 4) * 2, "c": floats(4, 4), "d": floats(4, 2)},
        lambda m, r: number_outputs(m(r, [r["c"], r["d"]], 3)),
        batched=False,
    ),
    served(
        "types",
        "types",
        [spec(f"{text} -1 2") for text in TYPES],
        [spec(f"{text} -1 2") for text in TYPES],
        {
            text.split()[0]: torch.tensor([[0, 1], [5, 100]]).to(dtype)
            for text, dtype in zip(TYPES, TORCH_TYPES, strict=True)
        },
        lambda m, r: m(*r.values()),
    ),
    served(
        "product",
        "product",
        [spec("a FP32 3 -1"), spec("b FP32 -1 -1")],
        [spec("y FP32 3 -1")],
        {"a": floats(3, 7), "b": floats(7, 300)},
        lambda m, r: [m(r["a"], r["b"])],
        batched=False,
    ),
    served(
        "ordered",
        "ordered",
        [spec("image FP32 5 3 4 5"), spec("x FP32 6 3")],
        [spec("y FP32 5 3 4 5"), spec("z FP32 6 2")],
        {"image": floats(5, 3, 4, 5), "x": floats(6, 3)},
        lambda m, r: m(r["image"], r["x"]),
        batched=False,
    ),
    served(
        "same",
        "same",
        [spec("x FP32 -1 4")],
        [spec("x FP32 -1 4"), spec("tail FP32 -1 3"), spec("turned FP32 4 -1"), spec("row FP32 3"), spec("n INT64")],
        {"x": floats(5, 4)},
        lambda m, r: [torch.as_tensor(value) for value in m(r["x"])],
        batched=False,
    ),
    served(
        "first_of_two",
        "same",
        [spec("x FP32 -1 4")],
        [spec("x FP32 -1 4")],
        {"x": floats(5, 4)},
        lambda m, r: m(r["x"])[:1],
    ),
]


def eager_arrays(kind: Served) -> dict[str, numpy.ndarray]:
    """What eager PyTorch answers, by output."""
    request = {name: value.clone() for name, value in kind.request.items()}
    returned = kind.eager(PACKAGES[kind.package].build(), request)
    tensors = [value.float() if value.dtype == torch.bfloat16 else value for value in returned]
    return {output.name: value.detach().numpy() for output, value in zip(kind.outputs, tensors, strict=False)}


def request_of(name: str, inputs: Tensors, **fields: Any) -> Any:
    def raw(value: torch.Tensor) -> numpy.ndarray:
        return value.view(torch.uint16).numpy() if value.dtype == torch.bfloat16 else value.numpy()

    tensors = [raw_tensor(key, raw(value)) for key, value in inputs.items()]
    return predict_request(name, *tensors, parameters=RAW, **fields)


# (name, package, inputs, outputs, settings, the reason)
X = spec("x FP32 -1 4")
Y = [spec("y FP32 -1 4")]
KEYWORDS = [spec("x FP32 -1 4"), spec("scale FP32 -1 1"), spec("shift FP32 -1 1")]
MASK = spec("mask BOOL -1 -1", mask_of="tokens")
POOLED = [spec("mean FP32 -1 8")]
REFUSED: list[tuple[str, str, list[TensorSpec], list[TensorSpec], dict[str, Any], str]] = [
    ("dtype", "scaled", [spec("x FP64 -1 4"), *KEYWORDS[1:]], Y, {}, "takes x as FP32, model.toml says FP64"),
    ("half", "types", [spec(f"{text} -1 2") for text in TYPES[:6]]
     + [spec("f16 BF16 -1 2"), spec("bf16 FP16 -1 2"), spec("f32 FP32 -1 2"), spec("f64 FP64 -1 2")],
     [spec("flag BOOL -1 2")], {}, "takes f16 as FP16, model.toml says BF16"),
    ("width", "scaled", [spec("x FP32 -1 2"), *KEYWORDS[1:]], Y, {}, "dimension 1 of x is 4 in the package, 2 in"),
    ("open", "scaled", [spec("x FP32 -1 -1"), *KEYWORDS[1:]], Y, {}, "dimension 1 of x is 4 in the package, -1"),
    ("rank", "scaled", [spec("x FP32 -1 4 1"), *KEYWORDS[1:]], Y, {}, "takes x with 2 dimensions"),
    ("bytes", "scaled", [spec("x BYTES -1 4"), *KEYWORDS[1:]], Y, {}, "BYTES"),
    ("keyword", "scaled", [X, spec("factor FP32 -1 1"), KEYWORDS[2]], Y, {}, "'factor', which the package has not"),
    ("missing", "scaled", KEYWORDS[:2], Y, {}, "the package has the input 'shift', which model.toml has not"),
    ("too_many", "scaled", [*KEYWORDS, spec("more FP32 -1 4")], Y, {}, "'more', which the package has not"),
    ("output", "scaled", KEYWORDS, [spec("mid FP32 -1 1")], {},
     "'mid', which the package has not; it has: low, high, y"),
    ("none", "nested", [spec("a FP32 -1 4"), spec("b FP32 -1 4"), spec("c FP32 -1 4"), spec("d FP32 -1 2")],
     [spec("p.1 FP32 -1 4")], {}, "'p.1', which the package has not"),
    ("rows", "scaled", KEYWORDS, [spec("y FP32 -1 4")], {"max_batch_size": 65}, "at most 64 rows of x"),
    ("static", "ordered", [spec("image FP32 -1 3 4 5"), spec("x FP32 -1 3")], [spec("y FP32 -1 3 4 5")], {},
     "exactly 6 rows of x"),
    ("pad_to", "pooled", [spec("tokens INT64 -1 -1", pad_to=[16, 256]), MASK], POOLED, {}, "padded to 256"),
    ("pad_from", "pooled", [spec("tokens INT64 -1 -1", pad_to=[2, 16]), MASK], POOLED, {},
     "padded to 2 (pad_to), the package takes 4 to 128"),
    ("mask", "pooled", [TOKENS, spec("mask FP32 -1 -1", mask_of="tokens")], POOLED, {}, "takes mask as BOOL"),
    ("batch_of_matrices", "product", [spec("a FP32 -1 -1"), spec("b FP32 -1 -1")], [spec("y FP32 -1 -1")], {},
     "exactly 3 rows of a"),
    ("output_type", "scaled", KEYWORDS, [spec("y FP64 -1 4")], {}, "output y is FP32"),
]  # fmt: skip


def add(
    repository: Path,
    name: str,
    package: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    **settings: Any,
) -> Path:
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    (folder / "model.toml").write_text(model_toml(name, inputs, outputs, **settings), encoding="utf-8")
    shutil.copy(package, folder / "1" / "model.pt2")
    return folder / "1" / "model.pt2"


@pytest.fixture(scope="module", autouse=True)
def fixture_packages() -> None:
    """All packages, compiled side by side if that has not been done."""
    compile_all()


@pytest.fixture(scope="module", name="packages")
def fixture_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictdProcess]:
    """A server of all that is in the tables."""
    repository = tmp_path_factory.mktemp("compiled") / "models"
    for kind in SERVED:
        add(repository, kind.name, compiled(kind.package), kind.inputs, kind.outputs, **kind.settings)
    for name, package, inputs, outputs, settings, _ in REFUSED:
        add(repository, f"refused_{name}", compiled(package), inputs, outputs, **settings)
    add(repository, "pooled", compiled("pooled"), [TOKENS, MASK], [*POOLED, spec("e FP32 -1 -1 8", unpad="tokens")])
    add(repository, "unmasked", compiled("pooled"), [spec("tokens INT64 -1 -1"), spec("mask BOOL -1 -1")], POOLED)
    both = [spec("x FP32 -1 4"), spec("y FP32 -1 4")]
    add(repository, "stateful", compiled("stateful"), both, [*Y, spec("total FP32 -1 4"), spec("t FP32 -1 4")],
        response_cache_bytes=1 << 20)  # fmt: skip
    add(repository, "random", compiled("same"), [X], [spec("5 FP32 -1 4")], response_cache_bytes=1 << 20)
    with PredictdProcess(repository, flags=["--workers=2"], wait_until_serving=False) as server:
        server.wait_for_log(lambda record: "all models are loaded" in record["msg"], timeout=60)
        yield server


def cause(server: PredictdProcess, name: str) -> str:
    """Why a model is not served, as callers are told; empty if it is."""
    version = server.client.get_model(name).model.versions[0]
    assert (state_name(version.state) == "FAILED") == bool(version.reason), version
    assert "/" not in version.reason.replace("data/aotinductor", ""), "no paths"
    return version.reason


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.name)
def test_a_package_answers_what_the_module_answers(packages: PredictdProcess, kind: Served) -> None:
    assert cause(packages, kind.name) == ""
    expected = eager_arrays(kind)
    got = to_arrays(packages.client.predict(request_of(kind.name, kind.request)))
    assert list(got) == [output.name for output in kind.outputs]
    for name, value in expected.items():
        numpy.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5, err_msg=f"{kind.name}: {name}")


@pytest.mark.parametrize(("name", "reason"), [(entry[0], entry[5]) for entry in REFUSED], ids=lambda value: value[:20])
def test_what_a_package_does_not_take_is_refused_with_both_sides(
    packages: PredictdProcess, name: str, reason: str
) -> None:
    assert reason in cause(packages, f"refused_{name}")


def test_batches_of_all_sizes_and_lengths_answer_as_single_rows_do(packages: PredictdProcess) -> None:
    module = PACKAGES["pooled"].build()
    torch.manual_seed(1)
    requests = [torch.randint(0, 50, (rows, length)) for rows, length in ((1, 4), (2, 9), (3, 8), (1, 128), (64, 5))]
    calls = [packages.client.predict_future(request_of("pooled", {"tokens": tokens})) for tokens in requests]
    for tokens, call in zip(requests, calls, strict=True):
        mean, embedded = module(tokens, mask=torch.ones_like(tokens, dtype=torch.bool))
        got = to_arrays(call.result())
        numpy.testing.assert_allclose(got["mean"], mean.detach().numpy(), rtol=1e-4, atol=1e-5)
        numpy.testing.assert_allclose(got["e"], embedded.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "inputs", "violation"),
    [
        ("product", {"a": floats(3, 7), "b": floats(8, 2)}, {"inputs[1].shape": "expected 7 in dimension 0 to suit"}),
        (
            "product",
            {"a": floats(3, 3), "b": floats(3, 2)},
            {"inputs[0].shape": "expected 4 to 128 in dimension 1, got 3"},
        ),
        (
            "product",
            {"a": floats(3, 129), "b": floats(129, 2)},
            {"inputs[0].shape": "expected 4 to 128 in dimension 1"},
        ),
        ("product", {"a": floats(3, 4), "b": floats(4, 513)}, {"inputs[1].shape": "expected 2 to 512 in dimension 1"}),
        (
            "unmasked",
            {"tokens": torch.ones(2, 9, dtype=torch.int64), "mask": torch.ones(2, 8, dtype=torch.bool)},
            {"inputs[1].shape": "expected 9 in dimension 1 to suit dimension 1 of tokens, got 8"},
        ),
    ],
    ids=str,
)
def test_a_request_beyond_what_the_package_takes_is_refused(
    packages: PredictdProcess, model: str, inputs: Tensors, violation: dict[str, str]
) -> None:
    error = rpc_error(lambda: packages.client.predict(request_of(model, inputs)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    found = field_violations(error)
    for field, text in violation.items():
        assert text in found[field]


def test_a_stream_keeps_to_what_the_package_takes(packages: PredictdProcess) -> None:
    tokens = torch.ones(100, 3, dtype=torch.int64)
    mask = torch.ones(100, 3, dtype=torch.bool)
    request = PredictStreamRequest(predict=request_of("unmasked", {"tokens": tokens, "mask": mask}), chunk_rows=10)
    error = rpc_error(lambda: list(packages.client.predict_stream(request)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "expected 4 to 128 in dimension 1" in field_violations(error)["predict.inputs[0].shape"]
    longer = {"tokens": torch.ones(100, 4, dtype=torch.int64), "mask": torch.ones(100, 4, dtype=torch.bool)}
    request = PredictStreamRequest(predict=request_of("unmasked", longer), chunk_rows=10)
    assert len(collect(packages.client.predict_stream(request))["rows"]) == 10


def test_what_a_model_remembers_is_never_torn_and_begins_with_the_first_caller(packages: PredictdProcess) -> None:
    totals: list[float] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(50):
                x = torch.ones(1, 4)
                answer = to_arrays(packages.client.predict(request_of("stateful", {"x": x, "y": x})))
                assert answer["t"].tolist() == [[3.0] * 4]
                assert answer["y"].tolist() == [[4.0] * 4]
                total = answer["total"]
                assert (total == total[0, 0]).all(), "all of it is of one moment"
                totals.append(float(total[0, 0]))
        except Exception as error:  # noqa: BLE001  # The thread that joins tells it.
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    # What a batch adds is seen by all in it.
    assert max(totals) == 200


def test_a_package_whose_answers_differ_says_so_and_has_no_response_cache(packages: PredictdProcess) -> None:
    notes = {record.get("model"): record["note"] for record in packages.log_records() if "note" in record}
    assert "it writes to total" in notes["stateful"]
    assert "response_cache_bytes is not used" in notes["stateful"]
    assert "it draws random numbers" in notes["random"]
    assert "response_cache_bytes is not used" in notes["random"]
    assert "keywords" not in notes
    request = request_of("random", {"x": torch.ones(1, 4)})
    first, second = (to_arrays(packages.client.predict(request))["5"] for _ in range(2))
    assert (first != second).any()


# --- Files ---


def rewritten(source: Path, file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """A package with other records."""
    reader = torch._C.PyTorchFileReader(str(source))
    writer = torch._C.PyTorchFileWriter(str(file))
    for record in reader.get_all_records():
        if record in ("version", ".data/version", "byteorder", ".data/serialization_id"):
            continue
        changed = change(record, reader.get_record(record))
        if changed is not None:
            writer.write_record(changed[0], changed[1], len(changed[1]))
    writer.write_end_of_file()


def renamed(name: str) -> Callable[[str, bytes], tuple[str, bytes]]:
    return lambda record, content: (record.replace("aotinductor/model/", f"aotinductor/{name}/"), content)


def metadata(old: bytes, new: bytes) -> Callable[[str, bytes], tuple[str, bytes]]:
    return lambda record, content: (record, content.replace(old, new) if record.endswith("_metadata.json") else content)


class Plain(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def write_two_models(source: Path, file: Path) -> None:
    reader = torch._C.PyTorchFileReader(str(source))
    writer = torch._C.PyTorchFileWriter(str(file))
    for record in reader.get_all_records():
        if record.startswith("data/aotinductor"):
            for name in ("encoder", "decoder"):
                content = reader.get_record(record)
                writer.write_record(record.replace("/model/", f"/{name}/"), content, len(content))
    writer.write_end_of_file()


def write_zip(_: Path, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")


def write_exported(_: Path, file: Path) -> None:
    torch.export.save(torch.export.export(Plain(), (torch.rand(2, 4),)), str(file))


# What is written in the place of model.pt2 out of a package, and what the reason says.
FILES: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "exported": (write_exported, "torch.export.save wrote, without compiled code: compile it with"),
    "weights": (lambda _, f: torch.save({"w": torch.rand(2)}, f), "what torch.save wrote (a state dict, say)"),
    "script": (lambda _, f: torch.jit.script(Plain()).save(str(f)), "a TorchScript module: name it model.pt"),
    "empty": (lambda _, f: f.write_bytes(b""), "the file is empty"),
    "text": (lambda _, f: f.write_text("hello"), "none that PyTorch writes"),
    "lfs": (lambda _, f: f.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "cut": (lambda s, f: f.write_bytes(s.read_bytes()[:100_000]), "cut off or damaged"),
    "zip": (write_zip, "a zip archive, but none that PyTorch writes"),
    "library": (lambda _, f: shutil.copy(sys.executable, f), "a shared library, which is no package"),
    "two": (write_two_models, "several models (decoder, encoder) and none named 'model'"),
    "cuda": (lambda s, f: rewritten(s, f, metadata(b'"cpu"', b'"cuda"')), "compiled for the device 'cuda'"),
    "arm": (lambda s, f: rewritten(s, f, metadata(b'"x86_64"', b'"aarch64"')), "linux on aarch64, and this is linux"),
    "source_only": (
        lambda s, f: rewritten(s, f, lambda r, c: None if r.endswith(".so") else (r, c)),
        "source code that was not compiled",
    ),
    "no_source": (
        lambda s, f: rewritten(s, f, lambda r, c: None if r.endswith(".cpp") else (r, c)),
        "does not say what its inputs must be",
    ),
    "no_code": (
        lambda s, f: rewritten(s, f, lambda r, c: (r, b"\x7fELF" if r.endswith(".so") else c)),
        "no shared library whose imports can be read",
    ),
    "pickles": (
        lambda s, f: rewritten(
            s,
            f,
            lambda r, c: (r.rsplit("/", 1)[0] + "/weights_config.json", b"{}") if r.endswith("kernel.cpp") else (r, c),
        ),
        "keeps its weights as pickles",
    ),
}


def test_a_file_that_is_no_package_is_called_what_it_is(tmp_path: Path) -> None:
    source = compiled("same")
    for name, (write, _) in FILES.items():
        file = add(tmp_path / "models", name, source, [X], Y)
        file.unlink()
        write(source, file)
    other = add(tmp_path / "models", "other_name", source, [X], Y)
    rewritten(source, other, renamed("encoder"))
    with PredictdProcess(tmp_path / "models", wait_until_serving=False) as server:
        server.wait_for_log(lambda record: "all models are loaded" in record["msg"])
        wrong = {name: cause(server, name) for name, (_, reason) in FILES.items() if reason not in cause(server, name)}
        assert not wrong
        assert cause(server, "other_name") == "", "a package's only model is meant, whatever its name"


def test_packages_are_unpacked_where_the_operator_says_and_nothing_stays(tmp_path: Path) -> None:
    add(tmp_path / "models", "random", compiled("same"), [X], Y)
    unpack = tmp_path / "unpack"
    left, living = unpack / "predictd-private-killed", unpack / "predictd-private-living"
    for folder in (left, living):
        folder.mkdir(parents=True)
        (folder / "model.so").write_bytes(b"code")
    lock = os.open(living, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for flags, env in (([f"--unpack-dir={unpack}"], {}), ([], {"TMPDIR": str(unpack)})):
        with PredictdProcess(tmp_path / "models", flags=flags, env=env, wait_until_serving=False) as server:
            server.wait_for_health("random")
            assert list(unpack.iterdir()) == [living]
    os.close(lock)
    file = tmp_path / "file"
    file.write_text("no folder")
    for folder, why in ((file, "Not a directory"), (tmp_path / "nowhere", "No such file or directory")):
        with PredictdProcess(tmp_path / "models", flags=[f"--unpack-dir={folder}"], wait_until_serving=False) as server:
            server.wait_for_log(lambda record: "all models are loaded" in record["msg"])
            assert "--unpack-dir" in cause(server, "random")
            assert why in cause(server, "random")


# --- Operators of libraries ---


def test_operators_come_with_their_library(tmp_path: Path) -> None:
    library = operator_library()
    torch.ops.load_library(str(library))
    models = tmp_path / "models"
    add(models, "compiled", compiled("twice"), [X], Y)
    add(models, "scripted", compiled("twice"), [X], Y).unlink()
    torch.jit.script(Twice()).save(str(models / "scripted/1/model.pt"))
    with PredictdProcess(models, wait_until_serving=False) as server:
        server.wait_for_log(lambda record: "all models are loaded" in record["msg"])
        for name in ("compiled", "scripted"):
            assert "the operator predictd_test::twice, which nothing here defines" in cause(server, name)
            assert "--operator-library" in cause(server, name)
    other = tmp_path / "other.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", other], input=b"int other;", check=True)
    flags = ["--ready=all", f"--operator-library={other}", f"--operator-library={library}"]
    with PredictdProcess(models, flags=flags) as server:
        for name in ("compiled", "scripted"):
            answer = to_arrays(server.client.predict(request_of(name, {"x": floats(2, 4)})))
            numpy.testing.assert_allclose(answer["y"], (floats(2, 4) * 2 + 1).numpy())
    with PredictdProcess(models, env={"PREDICTD_OPERATOR_LIBRARY": f"{other}:{library}"}) as server:
        server.wait_for_health("compiled")


def test_a_library_that_cannot_be_loaded_is_a_bad_option(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    text = tmp_path / "text.so"
    text.write_text("no library\n" * 100)
    for library, why in ((tmp_path / "none.so", "No such file"), (text, "invalid ELF header")):
        done = run_predictd(
            f"--model-repository={tmp_path / 'models'}", "--listen=127.0.0.1:0", f"--operator-library={library}"
        )
        assert done.returncode == 2
        assert "--operator-library" in done.stderr
        assert why in done.stderr
        assert library.name in done.stderr
