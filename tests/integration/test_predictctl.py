"""predictctl against a real server: what it prints, what it saves, and how it ends."""

from __future__ import annotations

import fcntl
import io
import json
import os
import resource
import select
import signal
import subprocess
from pathlib import Path

import grpc
import numpy
import pytest

from predictctl import (
    INTERRUPTED,
    PREDICTCTL,
    SOME_ROWS_FAILED,
    USAGE,
    failed_with,
    json_lines,
    json_of,
    predictctl,
)
from predictd_process import DEMO_MODELS, PredictdProcess, eventually
from protocol import float_tensor, predict_request

HELD_OUT = DEMO_MODELS / "digits" / "heldout"


# --- models ---


def test_models_are_listed_as_a_table(server: PredictdProcess) -> None:
    result = predictctl(server, "models")
    assert (result.returncode, result.stderr) == (0, "")
    table, _, failures = result.stdout.partition("\n\n")
    head, *lines = table.splitlines()
    assert head.split() == ["NAME", "KIND", "VERSIONS", "INPUTS", "OUTPUTS"]
    broken = next(line for line in lines if line.startswith("broken"))
    assert "1 failed" in broken
    (linear,) = (line for line in lines if "linear" in line)
    assert "1 ready" in linear
    assert "x FP32[-1,64]" in linear
    assert "y FP32[-1,64]" in linear
    assert len({line.index(" tensor ") for line in lines}) == 1, "columns are aligned"
    assert all(len(line) <= 100 for line in result.stdout.splitlines())
    # Below the table stands why.
    assert failures.startswith("broken 1 failed: ")


def test_one_model_is_described_with_its_signature(server: PredictdProcess) -> None:
    result = predictctl(server, "models", "digits")
    assert result.returncode == 0
    for words in (
        "Handwritten digits",
        "image",
        "FP32",
        "probabilities",
        "label",
        "INT64",
        "torchscript",
        "aotinductor",
    ):
        assert words in result.stdout


def test_models_are_told_as_json(server: PredictdProcess) -> None:
    models = {model["name"]: model for model in json_of(predictctl(server, "--json", "models"))["response"]["models"]}
    assert list(models) == sorted(models)
    assert models["broken"]["versions"][0]["state"] == "MODEL_STATE_FAILED"
    assert [spec["shape"] for spec in models["digits"]["inputs"]] == [["-1", "1", "8", "8"]]


def test_an_unknown_model_ends_with_its_code(server: PredictdProcess) -> None:
    result = predictctl(server, "models", "nobody")
    assert result.returncode == failed_with(grpc.StatusCode.NOT_FOUND)
    assert result.stdout == ""
    assert "NOT_FOUND: there is no model 'nobody'" in result.stderr


# --- predict: where inputs come from ---


def test_predict_reads_npy_and_names_the_largest(server: PredictdProcess) -> None:
    labels = numpy.load(HELD_OUT / "labels.npy")[:4]
    images = HELD_OUT / "images.npy"
    result = predictctl(server, "predict", "digits", "--input", f"image=@{images}", "--rows", "0:4", "--argmax")
    assert result.returncode == 0, result.stderr
    assert "digits version 2" in result.stdout
    assert "forward" in result.stdout
    assert "round trip" in result.stdout
    document = json_of(
        predictctl(server, "--json", "predict", "digits", "--input", f"@{images}", "--rows", "0:4", "--argmax")
    )
    assert document["argmax"]["probabilities"] == labels.tolist()


def test_predict_reads_json_from_the_command_line(server: PredictdProcess) -> None:
    arguments = ["predict", "fixed", "--input", 'a=[[1, 2.5, -3], [0, "Infinity", 6]]', "--input", "b=2"]
    (output,) = json_of(predictctl(server, "--json", *arguments))["response"]["outputs"]
    assert (output["name"], output["shape"]) == ("c", ["2", "3"])
    assert output["float_values"] == [2.0, 5.0, -6.0, 0.0, "Infinity", 12.0]


def test_predict_reads_a_json_object_from_standard_input(server: PredictdProcess) -> None:
    stdin = json.dumps({"ids": [[1, 2, 3], [4, 5, 6]], "scale": [[1], [-2]]}).encode()
    document = json_of(predictctl(server, "--json", "predict", "multi", "--json-input", "-", stdin=stdin))
    assert document["response"]["outputs"][0]["float_values"] == [6.0, -30.0]
    assert document["timings"]["forward_ms"] >= 0


def test_predict_reads_npy_and_json_from_standard_input(server: PredictdProcess) -> None:
    rows = numpy.arange(3, dtype=numpy.float32).reshape(3, 1)
    npy = io.BytesIO()
    numpy.save(npy, rows**2)
    for stdin in (npy.getvalue(), json.dumps((rows**2).tolist()).encode()):
        document = json_of(predictctl(server, "--json", "predict", "faulty", "--input", "@-", stdin=stdin))
        assert document["response"]["outputs"][0]["float_values"] == [0.0, 1.0, 2.0]


def test_predict_reads_json_from_a_file(server: PredictdProcess, tmp_path: Path) -> None:
    file = tmp_path / "text.json"
    file.write_text(json.dumps(["a", "Grüße", ""]))
    result = predictctl(server, "predict", "strings", "--input", f"text=@{file}", "--output", "upper")
    assert result.returncode == 0, result.stderr
    assert "A" in result.stdout
    assert "GR" in result.stdout
    assert "length" not in result.stdout


@pytest.mark.parametrize("encoding", ["--raw", "--typed"])
def test_outputs_are_saved_as_npy(server: PredictdProcess, tmp_path: Path, encoding: str) -> None:
    images = numpy.load(HELD_OUT / "images.npy")[:5]
    numpy.save(tmp_path / "images.npy", images)
    files = {"probabilities": tmp_path / "probabilities.npy", "label": tmp_path / "label.npy"}
    arguments = [f"--out={name}={file}" for name, file in files.items()]
    result = predictctl(
        server, "predict", "digits", "--input", f"@{tmp_path}/images.npy", "--version=1", encoding, *arguments
    )
    assert result.returncode == 0, result.stderr
    assert "digits version 1" in result.stdout
    probabilities = numpy.load(files["probabilities"])
    label = numpy.load(files["label"])
    assert (probabilities.dtype, probabilities.shape) == (numpy.float32, (5, 10))
    assert (label.dtype, label.shape) == (numpy.int64, (5,))
    assert label.tolist() == probabilities.argmax(axis=1).tolist() == numpy.load(HELD_OUT / "labels.npy")[:5].tolist()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (numpy.ones((2, 64), dtype=">f4"), "big-endian"),
        (numpy.asarray(numpy.ones((2, 64), dtype="<f4"), order="F"), "Fortran order"),
        (numpy.ones((2, 64), dtype=complex), "c16"),
        (numpy.array(["a", "b"]), "give strings as JSON"),
    ],
)
def test_npy_that_could_be_misread_is_refused(
    server: PredictdProcess, tmp_path: Path, array: numpy.ndarray, words: str
) -> None:
    numpy.save(tmp_path / "x.npy", array)
    result = predictctl(server, "predict", "linear", "--input", f"@{tmp_path}/x.npy")
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "x.npy: " in result.stderr
    assert words in result.stderr


def test_the_request_id_and_headers_reach_the_server(server: PredictdProcess) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    header = f"--header=traceparent=00-{trace}-00f067aa0ba902b7-00"
    x = json.dumps([[0] * 64])
    result = predictctl(server, header, "predict", "linear", "--input", x, "--request-id", "from predictctl")
    assert "linear version 1, request from predictctl" in result.stdout
    record = server.wait_for_log(lambda record: record.get("request_id") == "from predictctl")
    assert record["trace_id"] == trace


def test_arrays_and_numbers_are_cast_only_if_asked_for(server: PredictdProcess, tmp_path: Path) -> None:
    rows = numpy.arange(128).reshape(2, 64)
    numpy.save(tmp_path / "x.npy", rows)
    arguments = ("--json", "predict", "linear", "--input", f"x=@{tmp_path}/x.npy")
    result = predictctl(server, *arguments)
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    assert "expected DATA_TYPE_FP32, got DATA_TYPE_INT64" in result.stderr
    assert "hint: --cast converts" in result.stderr
    (output,) = json_of(predictctl(server, *arguments, "--cast"))["response"]["outputs"]
    (expected,) = server.client.predict(predict_request("linear", float_tensor("x", rows))).outputs
    assert output["float_values"] == pytest.approx(list(expected.float_values))

    arguments = ("predict", "fixed", "--input", "a=[[1, 2, 3], [4, 5, 6]]", "--input")
    result = predictctl(server, *arguments, "b=2.0")
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "input 'b': expected an integer, got 2.0 (--cast converts it)" in result.stderr
    assert predictctl(server, *arguments, "b=2.0", "--cast").returncode == 0
    assert "INT64 cannot hold 2.5" in predictctl(server, *arguments, "b=2.5", "--cast").stderr


def test_strings_are_text_in_json(server: PredictdProcess) -> None:
    arguments = ("predict", "strings", "--input", json.dumps(["a", "Grüße"]), "--output", "upper")
    (output,) = json_of(predictctl(server, "--json", *arguments))["response"]["outputs"]
    assert output["string_values"][0] == "A"
    assert "bytes_values" not in output
    assert 'GRüßE"' in predictctl(server, *arguments).stdout


def test_the_priority_reaches_the_server(server: PredictdProcess) -> None:
    arguments = ("predict", "linear", "--input", json.dumps([[0] * 64]), "--no-cache", "--priority")
    assert predictctl(server, *arguments, "4").returncode == 0
    result = predictctl(server, *arguments, "5")
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    assert 'parameters["priority"]' in result.stderr


def test_one_model_can_be_asked_for_by_either_command(server: PredictdProcess) -> None:
    one = predictctl(server, "model", "attention")
    assert (one.returncode, one.stderr) == (0, "")
    assert "filled up to 4, 16 or 64" in one.stdout
    assert "which of tokens was sent" in one.stdout
    assert "a request has at most 64 MiB" in one.stdout
    assert predictctl(server, "models", "attention").stdout == one.stdout


# --- predict: how it fails ---


def test_a_wrong_input_ends_with_its_code_and_names_the_field(server: PredictdProcess) -> None:
    result = predictctl(server, "predict", "linear", "--input", "[[1, 2, 3]]")
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    assert "INVALID_ARGUMENT" in result.stderr
    assert result.stderr.count("inputs[0].shape: expected shape [-1,64], got [1,3]") == 1, "nothing is said twice"
    result = predictctl(server, "--json", "predict", "linear", "--input", "[[1, 2, 3]]")
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert error["field_violations"][0]["field"] == "inputs[0].shape"


def test_a_request_that_is_too_large_names_the_servers_limit(server: PredictdProcess, tmp_path: Path) -> None:
    numpy.save(tmp_path / "x.npy", numpy.zeros((300_000, 64), dtype=numpy.float32))
    result = predictctl(server, "predict", "linear", "--input", f"@{tmp_path}/x.npy")
    assert result.returncode == failed_with(grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "hint: the request is larger than the server takes (its option --max-message-bytes)" in result.stderr
    result = predictctl(server, "predict", "linear", "--input", f"@{tmp_path}/x.npy", "--rows=0:100")
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    assert "hint: predictctl stream takes more rows" in result.stderr


def test_a_failed_model_ends_with_its_code(server: PredictdProcess) -> None:
    result = predictctl(server, "predict", "faulty", "--input", "[[-1]]")
    assert result.returncode == failed_with(grpc.StatusCode.INTERNAL)
    assert "error id" in result.stderr


def test_a_missed_deadline_ends_with_its_code(server: PredictdProcess) -> None:
    result = predictctl(server, "--deadline=100ms", "predict", "slow", "--input", "[[600]]")
    assert result.returncode == failed_with(grpc.StatusCode.DEADLINE_EXCEEDED)
    assert "DEADLINE_EXCEEDED" in result.stderr
    server.wait_until_idle()


def test_a_server_that_is_away_ends_with_unavailable() -> None:
    # Nothing listens on port 1 of loopback.
    command: list[str | Path] = [PREDICTCTL, "--address=127.0.0.1:1", "--deadline=5s", "models"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == failed_with(grpc.StatusCode.UNAVAILABLE)
    assert "UNAVAILABLE" in result.stderr
    assert "no server answers at 127.0.0.1:1 (--address or PREDICTD_ADDRESS" in result.stderr
    assert result.stderr.count("Connection refused") == 1, "gRPC's own log says nothing"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict"], "MODEL"),
        (["predict", "linear", "--input", "x=@no-such-file.npy"], "no-such-file.npy"),
        (["predict", "linear", "--input", "x=[[1, 2"], "--input"),
        (["predict", "linear", "--input", "z=[[1]]"], "no input 'z'"),
        (["predict", "multi", "--input", "[[1]]"], "'ids', 'scale'"),
        (["predict", "linear", "--input", "[[1], [2, 3]]"], "input 'x'"),
        (["predict", "linear", "--rows", "3:1", "--input", "[[1]]"], "--rows"),
        (["predict", "linear", "--frobnicate"], "--frobnicate"),
        (["--deadline=soon", "models"], "--deadline"),
        (["explain"], "there is no command 'explain'"),
        (["modles"], "did you mean 'models'?"),
        (["predict", "linear", "--inptu", "x"], "did you mean '--input'?"),
        (["--cacert=/nonexistent.pem", "models"], "--cacert /nonexistent.pem: cannot be read"),
        (["predict", "linear", "--input", "[[1, 2], [3]]"], "at [1]: ragged: expected an array of 2 as at [0]"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what(server: PredictdProcess, arguments: list[str], words: str) -> None:
    result = predictctl(server, *arguments)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert words in result.stderr


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_that_is_nested_too_deep_ends_with_2(server: PredictdProcess, opening: str, closing: str) -> None:
    stdin = f'{{"x": {opening * 200_000}1{closing * 200_000}}}'.encode()
    result = predictctl(server, "predict", "linear", "--json-input", "-", stdin=stdin)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert result.stderr == "predictctl: --json-input -: nested deeper than 64\n"


def test_too_little_memory_ends_with_2(tmp_path: Path) -> None:
    # A file of 8 GB, of which only the beginning takes room.
    huge = numpy.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=numpy.float32, shape=(2_000_000_000,))
    del huge
    limit = 1 << 30
    result = subprocess.run(
        [PREDICTCTL, "predict", "linear", "--input", f"x=@{tmp_path}/x.npy"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert (result.returncode, result.stdout, result.stderr) == (USAGE, "", "predictctl: out of memory\n")


def test_an_output_that_cannot_be_written_ends_with_2(server: PredictdProcess, tmp_path: Path) -> None:
    x = json.dumps([[0] * 64])
    result = predictctl(server, "predict", "linear", "--input", x, f"--out={tmp_path}/missing/y.npy")
    assert result.returncode == USAGE
    assert "missing/y.npy" in result.stderr


# --- stream ---


def test_a_stream_is_told_line_by_line_in_json(server: PredictdProcess) -> None:
    arguments = ["stream", "digits", "--input", f"@{HELD_OUT}/images.npy", "--chunk-rows=64", "--argmax"]
    result = predictctl(server, "--json", *arguments)
    assert result.returncode == 0, result.stderr
    start, *rows, summary, end = json_lines(result)
    assert (start["start"]["total_rows"], start["start"]["total_chunks"]) == ("360", "6")
    assert [int(line["rows"].get("first_row", 0)) for line in rows] == [0, 64, 128, 192, 256, 320]
    read = [digit for line in rows for digit in line["argmax"]["probabilities"]]
    labels = numpy.load(HELD_OUT / "labels.npy")
    accuracy = json.loads((HELD_OUT / "accuracy.json").read_text())["versions"]["2"]
    assert int((numpy.array(read) == labels).sum()) == accuracy["correct"]
    assert summary == {"summary": {"rows_ok": "360"}}
    assert end["end"]["code"] == "OK"


def test_a_stream_is_readable_and_saves_all_rows(server: PredictdProcess, tmp_path: Path) -> None:
    out = tmp_path / "label.npy"
    arguments = ["--input", f"@{HELD_OUT}/images.npy", "--unordered", "--chunk-rows=50", f"--out=label={out}"]
    result = predictctl(server, "stream", "digits", *arguments)
    assert result.returncode == 0, result.stderr
    assert "digits version 2: 360 rows in 8 results" in result.stdout
    assert "360 of 360 rows answered" in result.stdout
    assert (numpy.load(out) == numpy.load(HELD_OUT / "labels.npy")).mean() > 0.98


def test_a_stream_with_failed_rows_ends_with_3_and_tells_which(server: PredictdProcess) -> None:
    values = json.dumps([[4], [-1], [9]])
    arguments = ["stream", "faulty", "--input", values, "--chunk-rows=1"]
    result = predictctl(server, *arguments, "--per-item-errors")
    assert result.returncode == SOME_ROWS_FAILED
    assert "rows 1:2 failed: INTERNAL" in result.stdout
    assert "2 of 3 rows answered, 1 failed" in result.stdout
    result = predictctl(server, *arguments)
    assert result.returncode == failed_with(grpc.StatusCode.INTERNAL)


def test_a_stream_that_is_larger_than_a_message_is_cut(tmp_path: Path) -> None:
    with PredictdProcess(["digits"], flags=["--max-message-bytes=16KiB", "--log-requests=all"]) as server:
        images = f"@{HELD_OUT}/images.npy"
        result = predictctl(server, "predict", "digits", "--input", images)
        assert result.returncode == failed_with(grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert "predictctl stream, which cuts it" in result.stderr

        out = tmp_path / "label.npy"
        result = predictctl(server, "stream", "digits", "--input", images, "--unordered", f"--out=label={out}")
        assert result.returncode == 0, result.stderr
        assert "digits version 2: 360 rows, in several requests\n" in result.stdout
        assert "360 of 360 rows answered\n" in result.stdout
        assert (numpy.load(out) == numpy.load(HELD_OUT / "labels.npy")).mean() > 0.98

        result = predictctl(server, "--json", "stream", "digits", "--input", images, "--chunk-rows=16")
        start, *rows, summary, end = json_lines(result)
        assert start["start"]["total_rows"] == "360"
        assert [int(line["rows"].get("first_row", 0)) for line in rows] == list(range(0, 360, 16))
        assert summary == {"summary": {"rows_ok": "360"}}
        assert end["end"]["code"] == "OK"


def test_messages_have_the_limit_that_is_asked_for(server: PredictdProcess) -> None:
    x = json.dumps([[0.5] * 64] * 8)
    arguments = ("predict", "linear", "--raw", "--input", x, "--max-message-bytes")
    assert predictctl(server, *arguments, "4KiB").returncode == 0
    result = predictctl(server, *arguments, "2KiB")
    assert result.returncode == failed_with(grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "the client sends at most 2048" in result.stderr
    assert "hint: --max-message-bytes allows larger requests" in result.stderr
    result = predictctl(server, "models", "--max-message-bytes=50")
    assert result.returncode == failed_with(grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "hint: the answer is larger than --max-message-bytes" in result.stderr


# --- Interrupts ---


def start_slow_stream(server: PredictdProcess, tmp_path: Path) -> subprocess.Popen[str]:
    """A stream of minutes, of which the first rows have come."""
    numpy.save(tmp_path / "x.npy", numpy.full((4000, 1), 30, dtype=numpy.float32))
    command: list[str | Path] = [
        PREDICTCTL,
        f"--address={server.address}",
        "--json",
        "stream",
        "slow",
        "--input",
        f"@{tmp_path}/x.npy",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "start" in process.stdout.readline()
    assert "rows" in process.stdout.readline()
    return process


def test_ctrl_c_cancels_the_stream_and_ends_with_130(server: PredictdProcess, tmp_path: Path) -> None:
    cancelled = {"method": "PredictStream", "model": "slow", "code": "CANCELLED"}
    before = server.metric("predictd_requests_total", **cancelled)
    process = start_slow_stream(server, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert "interrupted, the call was cancelled" in err
    assert json.loads(out.splitlines()[-1])["end"]["code"] == "CANCELLED"
    server.wait_until_idle()
    assert server.metric("predictd_requests_total", **cancelled) == before + 1


def test_ctrl_c_cancels_a_predict_and_ends_with_130(server: PredictdProcess) -> None:
    command: list[str | Path] = [PREDICTCTL, f"--address={server.address}", "predict", "slow", "--input", "[[1000]]"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    server.wait_for_metric("predictd_requests_running", 1, model="slow")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (INTERRUPTED, "")
    assert "interrupted" in err
    server.wait_until_idle()


def test_a_client_that_is_killed_frees_its_work(server: PredictdProcess, tmp_path: Path) -> None:
    process = start_slow_stream(server, tmp_path)
    process.kill()
    process.communicate(timeout=30)
    server.wait_until_idle()


def test_a_reader_that_goes_away_ends_the_stream(server: PredictdProcess, tmp_path: Path) -> None:
    process = start_slow_stream(server, tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=30) != 0
    process.stderr.close()
    server.wait_until_idle()


def test_sigterm_ends_it_although_nobody_reads_its_output(server: PredictdProcess) -> None:
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    command: list[str | Path] = [PREDICTCTL, f"--address={server.address}", "--json", "stream", "digits"]
    command += ["--input", f"@{HELD_OUT}/images.npy"]
    process = subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE)
    try:
        eventually(lambda: not select.select([], [write_end], [], 0)[1], 30, "the pipe to be full")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == INTERRUPTED
    finally:
        process.kill()
        process.communicate()
        os.close(read_end)
        os.close(write_end)
    server.wait_until_idle()
