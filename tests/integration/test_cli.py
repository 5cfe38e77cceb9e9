"""How predictd is started: flags, environment and file, exit codes; and what its log looks like."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import pytest

from predictd_process import PredictdProcess, run_predictd
from protocol import float_tensor, predict_request, rpc_error, slow_request

FREE_PORTS = ["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"]
OPTIONS = [
    "check-model", "check-model-files", "config", "connection-idle-timeout", "default-deadline", "drain-delay",
    "drain-grace", "intra-op-threads", "listen", "log-format", "log-level", "log-requests", "loops",
    "max-concurrent-streams",
    "max-connection-age", "max-connection-age-grace", "max-connections", "max-connections-per-peer", "max-deadline",
    "control-listen", "control-port-file", "idle-unload", "load-model", "max-endless-calls", "max-message-bytes",
    "max-request-streams", "metrics-listen", "metrics-port-file", "min-reader-rate", "model-control",
    "model-repository", "operator-library", "port-file", "ready", "receive-timeout", "repository-poll-interval",
    "repository-settle-time", "request-memory", "server-timing", "shared-memory", "stream-stall-timeout",
    "stream-window", "trace-endpoint", "trace-exporter", "trace-file", "trace-file-keep", "trace-file-max-bytes",
    "trace-max-forced-per-second", "trace-sample-ratio", "trace-timeout", "unpack-dir", "workers",
]  # fmt: skip


def one_row(**fields: Any) -> Any:
    return predict_request("linear", float_tensor("x", numpy.zeros((1, 64))), **fields)


@contextmanager
def taken_port() -> Iterator[str]:
    """An address that another program listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def last_record(stderr: str) -> dict[str, Any]:
    return json.loads(stderr.splitlines()[-1])


# --- Help and mistakes ---


def test_help_tells_every_option_and_the_exit_codes() -> None:
    result = run_predictd("--help")
    assert (result.returncode, result.stderr) == (0, "")
    shown = set(re.findall(r"^ +(?:-\w,)?--([\w-]+)", result.stdout, re.MULTILINE))
    assert shown - {"help", "version"} == set(OPTIONS)
    assert "PREDICTD_LISTEN for --listen" in result.stdout
    assert "Exit codes: 0" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 120


def test_version_is_told() -> None:
    result = run_predictd("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"predictd \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--model-repository is required"]),
        (["--model-repository=models", "--wrokers=2"], ["--wrokers"]),
        (["--model-repository=models", "stray"], ["stray"]),
        (["--model-repository=models", "--workers=two"], ["--workers", "two", "0 to 1024"]),
        (["--model-repository=models", "--workers=-1"], ["--workers", "-1"]),
        (["--model-repository=models", "--workers=1.5"], ["--workers", "1.5"]),
        (["--model-repository=models", "--drain-grace=5"], ["--drain-grace", "'5'", "250ms or 30s"]),
        (["--model-repository=models", "--max-deadline=-1s"], ["--max-deadline", "'-1s'"]),
        (["--model-repository=models", "--max-deadline=inf"], ["--max-deadline", "'inf'"]),
        (["--model-repository=models", "--max-message-bytes=5 parsecs"], ["--max-message-bytes", "parsecs"]),
        (["--model-repository=models", "--max-message-bytes=1"], ["--max-message-bytes", "1024"]),
        (["--model-repository=models", "--log-level=loud"], ["--log-level", "loud", "warn"]),
        (["--model-repository=models", "--log-format=xml"], ["--log-format", "xml", "json"]),
        (["--model-repository=models", "--trace-sample-ratio=1.1"], ["--trace-sample-ratio", "1.1"]),
        (["--model-repository=models", "--trace-exporter=file"], ["--trace-file"]),
        (["--model-repository=models", "--listen=127.0.0.1:65536"], ["--listen", "65536"]),
        (["--model-repository=models", "--config=no-such-file.toml"], ["no-such-file.toml"]),
    ],
)
def test_a_bad_option_ends_with_2_and_is_named(arguments: list[str], words: list[str]) -> None:
    result = run_predictd(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    first_line = result.stderr.splitlines()[0]
    for word in words:
        assert word in first_line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wrokers = 2\n", ["unknown key 'wrokers'"]),
        ('workers = "two"\n', ["--workers", "two"]),
        ("workers = [1, 2]\n", ["--workers"]),
        ("[network]\nlisten = 2\n", ["unknown key 'network'"]),
        ('drain-grace = "soon"\n', ["--drain-grace", "'soon'"]),
    ],
)
def test_a_mistake_in_the_file_ends_with_2_and_names_the_key(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "predictd.toml"
    file.write_text(text)
    result = run_predictd("--model-repository=models", f"--config={file}")
    assert result.returncode == 2
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"PREDICTD_WORKERS": "many"}, ["--workers", "many"]),
        ({"PREDICTD_DRAIN_GRACE": "1"}, ["--drain-grace", "'1'"]),
        ({"PREDICTD_CONFIG": "no-such-file.toml"}, ["no-such-file.toml"]),
    ],
)
def test_a_bad_variable_ends_with_2_and_is_named(env: dict[str, str], words: list[str]) -> None:
    result = run_predictd("--model-repository=models", env=env)
    assert result.returncode == 2
    for word in words:
        assert word in result.stderr.splitlines()[0]


# --- Precedence ---


def workers_of(server: PredictdProcess) -> int:
    return server.wait_for_log(lambda record: record["msg"] == "listening")["workers"]


@pytest.mark.parametrize(("flag", "variable", "file", "workers"), [(1, 2, 3, 1), (None, 2, 3, 2), (None, None, 3, 3)])
def test_a_flag_beats_the_environment_which_beats_the_file(
    tmp_path: Path, flag: int | None, variable: int | None, file: int, workers: int
) -> None:
    config = tmp_path / "my predictd.toml"
    config.write_text(f'# A comment.\nworkers = {file}\nlog-requests = "none"\ndrain-grace = "5s"\n')
    env = {"PREDICTD_CONFIG": str(config)} | ({"PREDICTD_WORKERS": str(variable)} if variable else {})
    with PredictdProcess(["linear"], [f"--workers={flag}"] if flag else [], env) as server:
        assert workers_of(server) == workers


def test_an_empty_variable_is_a_value(test_models: Path) -> None:
    result = run_predictd("--model-repository=models", env={"PREDICTD_LOOPS": ""})
    assert result.returncode == 2
    assert result.stderr.startswith("--loops:")
    with taken_port() as taken, taken_port() as taken_too:
        env = {"PREDICTD_METRICS_LISTEN": "", "PREDICTD_LISTEN": taken, "PREDICTD_MODEL_REPOSITORY": str(test_models)}
        result = run_predictd("--log-format=json", env=env)
        assert taken in last_record(result.stderr)["cause"]
        result = run_predictd("--log-format=json", env=env | {"PREDICTD_METRICS_LISTEN": taken_too})
        assert taken_too in last_record(result.stderr)["cause"]


def test_the_flag_names_the_file_rather_than_the_environment(tmp_path: Path) -> None:
    config = tmp_path / "predictd.toml"
    config.write_text("workers = 3\n")
    with PredictdProcess(["linear"], [f"--config={config}"], {"PREDICTD_CONFIG": f"{tmp_path}/missing"}) as server:
        assert workers_of(server) == 3


def test_everything_can_be_set_in_the_file(tmp_path: Path, test_models: Path) -> None:
    config = tmp_path / "predictd.toml"
    port_file = tmp_path / "ports" / "grpc"
    config.write_text(
        f'model-repository = "{test_models}"\nlisten = "127.0.0.1:0"\nmetrics-listen = ""\n'
        f'port-file = "{port_file}"\nlog-format = "json"\n'
    )
    # The one thing that is wrong is what is complained of: the rest was read.
    result = run_predictd(f"--config={config}")
    assert result.returncode == 1
    record = json.loads(result.stderr.splitlines()[-1])
    assert (record["msg"], record["cause"]) == (
        "cannot start",
        f"cannot write {port_file}: No such file or directory",
    )


# --- What can keep it from starting ---


@pytest.mark.parametrize("option", ["listen", "metrics-listen"])
def test_a_port_in_use_ends_with_1_and_one_clear_line(test_models: Path, option: str) -> None:
    options = [flag for flag in FREE_PORTS if not flag.startswith(f"--{option}")]
    with taken_port() as address:
        result = run_predictd(
            f"--model-repository={test_models}", *options, f"--{option}={address}", "--log-format=json"
        )
    assert result.returncode == 1
    record = last_record(result.stderr)
    assert (record["level"], record["msg"]) == ("error", "cannot start")
    assert address in record["cause"]


def test_two_servers_do_not_share_a_port(test_models: Path) -> None:
    with PredictdProcess(["linear"]) as server:
        arguments = [f"--listen={server.address}", "--metrics-listen=127.0.0.1:0", "--log-format=json"]
        result = run_predictd(f"--model-repository={test_models}", *arguments)
        assert result.returncode == 1
        assert server.address in last_record(result.stderr)["cause"]


def test_a_missing_repository_ends_with_1_and_its_path(tmp_path: Path) -> None:
    missing = tmp_path / "no models here"
    result = run_predictd(f"--model-repository={missing}", *FREE_PORTS, "--log-format=json")
    assert result.returncode == 1
    record = last_record(result.stderr)
    assert record["msg"] == "cannot start"
    assert f"'{missing}' cannot be read: No such file or directory" in record["cause"]


def test_an_empty_repository_is_served_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with PredictdProcess(tmp_path / "models") as server:
        (warning,) = (record for record in server.log_records() if record["level"] == "warning")
        assert warning["msg"] == "the model repository has no models"
        assert len(server.client.list_models().models) == 0


# --- Logs ---


def test_a_text_log_has_a_line_for_each_record(tmp_path: Path) -> None:
    result = run_predictd(f"--model-repository={tmp_path}/none", *FREE_PORTS)
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    assert re.fullmatch(
        rf"{time} INFO  reading the model repository path=.*\n"
        rf'{time} ERROR cannot start cause="the model repository .*"\n',
        result.stderr,
    )


def test_the_record_of_a_call_says_what_it_was(server: PredictdProcess) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    before = datetime.now(UTC)
    server.client.predict(
        slow_request(2, rows=2, request_id="call 7"), metadata=[("traceparent", f"00-{trace}-00f067aa0ba902b7-00")]
    )
    record = server.wait_for_log(lambda record: record.get("request_id") == "call 7")
    assert (record["level"], record["msg"], record["method"]) == ("info", "request", "Predict")
    assert (record["model"], record["version"], record["code"], record["message"]) == ("slow", 1, "OK", "")
    # Without a sampled span, the caller's trace is still told.
    assert record["trace_id"] == trace
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", record["peer"])
    assert record["total_ms"] >= record["forward_ms"] > 0
    assert record["queue_ms"] >= 0
    assert record["batch_rows"] == 2
    assert abs((datetime.fromisoformat(record["ts"]) - before).total_seconds()) < 30


def test_the_trace_id_of_a_record_is_that_of_the_span(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    flags = ["--log-requests=all", "--trace-exporter=file", f"--trace-file={file}", "--trace-sample-ratio=1"]
    with PredictdProcess(["linear"], flags) as server:
        server.client.predict(one_row(request_id="traced"))
        record = server.wait_for_log(lambda record: record.get("request_id") == "traced")
        assert re.fullmatch(r"[0-9a-f]{32}", record["trace_id"])
    spans = [
        span
        for line in file.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    assert [span["traceId"] for span in spans if span["name"].endswith("/Predict")] == [record["trace_id"]]


@pytest.mark.parametrize(("setting", "logged"), [("none", []), ("errors", ["wrong"]), ("all", ["right", "wrong"])])
def test_log_requests_chooses_the_calls_that_are_logged(setting: str, logged: list[str]) -> None:
    with PredictdProcess(["linear"], [f"--log-requests={setting}"]) as server:
        server.client.predict(one_row(request_id="right"))
        rpc_error(lambda: server.client.predict(one_row(request_id="wrong", outputs=["z"])))
        server.stop()
        records = server.log_records()
    assert [record["request_id"] for record in records if record.get("method") == "Predict"] == logged


def test_a_log_level_silences_what_is_below_it() -> None:
    with PredictdProcess(["linear", "broken"], ["--log-level=error", "--log-requests=all"]) as server:
        server.client.predict(one_row())
        assert server.stop() == 0
        assert [record["msg"] for record in server.log_records()] == ["model could not be loaded"]


HOSTILE = [
    'x\n{"ts":"2026-01-01T00:00:00Z","level":"error","msg":"forged"}',
    "x\r\n2026-01-01T00:00:00.000000Z ERROR forged",
    'quote " backslash \\ end',
    "escape \x1b[31m bell \x07 nul \x00 del \x7f",
    "next line \u0085 line separator \u2028 paragraph \u2029",
    "right to left \u202e \u00e4\U0001f600",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_caller_sends_cannot_forge_a_line_of_the_json_log(server: PredictdProcess, hostile: str) -> None:
    lines_before = len(server.log_lines())
    server.client.predict(one_row(request_id=hostile))
    record = server.wait_for_log(lambda record: record.get("request_id") == hostile)
    assert record["msg"] == "request"
    rpc_error(lambda: server.client.predict(predict_request(hostile, request_id="by model name")))
    server.wait_until_idle()
    for line in server.log_lines()[lines_before:]:
        assert json.loads(line)["msg"] == "request"
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)


def test_what_a_caller_sends_cannot_forge_a_line_of_the_text_log() -> None:
    with PredictdProcess(["linear"], ["--log-requests=all", "--log-format=text"]) as server:
        for hostile in HOSTILE:
            server.client.predict(one_row(request_id=hostile))
        assert server.stop() == 0
        lines = server.log_lines()
    begins = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (INFO |WARN |ERROR) "
    assert all(re.match(begins, line) for line in lines)
    assert sum(" request method=Predict " in line for line in lines) == len(HOSTILE)
    assert not [line for line in lines if re.match(begins + "forged", line)]


def test_what_libraries_have_to_say_is_logged_as_records(server: PredictdProcess) -> None:
    # Text that is no UTF-8 makes protobuf complain.
    for _ in range(50):
        rpc_error(lambda: server.client.predict(b"\x0a\x02\xc3\x28"))
    server.wait_until_idle()
    complaints = [record for record in server.log_records() if record.get("library") == "protobuf"]
    assert 1 <= len(complaints) <= 20
