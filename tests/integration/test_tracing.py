"""Spans of real calls, as a real OTLP/gRPC receiver and the file exporter get them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from grpc import StatusCode

from predictd_process import PredictdProcess, run_predictd
from protocol import (
    ROOT,
    Client,
    PredictStreamRequest,
    float_tensor,
    predict_request,
    rpc_error,
    slow_request,
)

RECEIVER = ROOT / "tests/telemetry/otlp_receiver.py"
MODELS = ["linear", "faulty", "slow"]
PARENT_SPAN = "00f067aa0ba902b7"
# The server's, for the one call that brings no deadline: a caller's own would race with its cancellation.
DEFAULT_DEADLINE = "--default-deadline=150ms"
PHASES = ["decode", "queue", "forward", "respond"]
Span = dict[str, Any]


def trace_id(name: str) -> str:
    """A trace id for each name of a call."""
    return name.encode().hex().rjust(32, "0")[-32:]


def traceparent(name: str, flags: str = "01") -> list[tuple[str, str]]:
    return [("traceparent", f"00-{trace_id(name)}-{PARENT_SPAN}-{flags}"), ("tracestate", "vendor=value")]


def one_row(request_id: str = "") -> Any:
    return predict_request("linear", float_tensor("x", numpy.zeros((1, 64))), request_id=request_id)


@dataclass
class Exported:
    """Everything that a server exported."""

    spans: list[Span]

    def trace(self, name: str) -> tuple[Span, list[Span]]:
        """The span of the call with that name, and its children in order of their start."""
        return self._with_children(lambda span: span["trace_id"] == trace_id(name))

    def request(self, request_id: str) -> tuple[Span, list[Span]]:
        return self._with_children(lambda span: span["attributes"].get("predictd.request_id") == request_id)

    def _with_children(self, wanted: Callable[[Span], bool]) -> tuple[Span, list[Span]]:
        (call,) = (span for span in self.spans if span["kind"] == "SERVER" and wanted(span))
        children = [span for span in self.spans if span["parent_span_id"] == call["span_id"]]
        return call, sorted(children, key=lambda span: span["start_ns"])


# --- Exporters ---


def plain_spans(file: Path) -> list[Span]:
    """The spans of a file of OTLP JSON lines, as the receiver writes them."""
    return [
        plain_span(span, resource_spans["resource"])
        for line in file.read_text().splitlines()
        for resource_spans in json.loads(line)["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]


def plain_attributes(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    plain = {}
    for attribute in attributes:
        ((kind, value),) = attribute["value"].items()
        plain[attribute["key"]] = int(value) if kind == "intValue" else value
    return plain


def plain_span(span: dict[str, Any], resource: dict[str, Any]) -> Span:
    status = span.get("status", {})
    return {
        "name": span["name"],
        "kind": {1: "INTERNAL", 2: "SERVER"}[span["kind"]],
        "trace_id": span["traceId"],
        "span_id": span["spanId"],
        "parent_span_id": span.get("parentSpanId", ""),
        "trace_state": span.get("traceState", ""),
        "start_ns": int(span["startTimeUnixNano"]),
        "end_ns": int(span["endTimeUnixNano"]),
        "attributes": plain_attributes(span["attributes"]),
        "events": [{"name": event["name"]} for event in span.get("events", [])],
        "status": {0: "UNSET", 1: "OK", 2: "ERROR"}[status.get("code", 0)],
        "status_message": status.get("message", ""),
        "resource": plain_attributes(resource["attributes"]),
    }


def export_to_file(calls: Callable[[PredictdProcess], None], ratio: float, folder: Path) -> Exported:
    """Runs the calls against a server that writes its spans to a file."""
    file = folder / "spans.jsonl"
    flags = [
        "--trace-exporter=file",
        f"--trace-file={file}",
        f"--trace-sample-ratio={ratio}",
        "--workers=2",
        DEFAULT_DEADLINE,
    ]
    with PredictdProcess(MODELS, flags) as server:
        calls(server)
    return Exported(plain_spans(file))


def export_to_receiver(calls: Callable[[PredictdProcess], None], ratio: float, folder: Path) -> Exported:
    """Runs the calls against a server that sends its spans to an OTLP receiver."""

    def serve(endpoint: str) -> PredictdProcess:
        flags = ["--trace-exporter=otlp", f"--trace-endpoint={endpoint}", f"--trace-sample-ratio={ratio}"]
        return PredictdProcess(MODELS, [*flags, "--workers=2", DEFAULT_DEADLINE])

    return receive(serve, calls, folder)


def receive(
    serve: Callable[[str], PredictdProcess], calls: Callable[[PredictdProcess], None], folder: Path
) -> Exported:
    """Runs the calls against the server that `serve` makes for the endpoint of an OTLP receiver."""
    file = folder / "spans.jsonl"
    with subprocess.Popen([sys.executable, RECEIVER, file], stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            with serve(f"http://127.0.0.1:{int(receiver.stdout.readline())}") as server:
                calls(server)
        finally:
            receiver.terminate()
    assert receiver.returncode == 0
    return Exported([json.loads(line) for line in file.read_text().splitlines()])


# --- One call of each kind ---


def call_everything(server: PredictdProcess) -> None:
    client = server.client
    client.predict(one_row("with parent"), metadata=traceparent("sampled"))
    client.predict(one_row("not sampled"), metadata=traceparent("not sampled", flags="00"))
    client.predict(one_row("no parent"))
    client.predict(one_row("bad parent"), metadata=[("traceparent", f"00-{'0' * 32}-{PARENT_SPAN}-01")])
    client.predict(slow_request(5, rows=3), metadata=traceparent("slow"))
    stream_some_chunks(client)
    refuse_and_fail(client)
    rpc_error(lambda: client.predict(slow_request(700), timeout=None, metadata=traceparent("deadline")))
    server.wait_until_idle()
    cancel_a_call(server)
    cancel_a_stream(server)


def stream_some_chunks(client: Client) -> None:
    rows = predict_request("slow", float_tensor("x", numpy.zeros((10, 1))))
    list(client.predict_stream(PredictStreamRequest(predict=rows, chunk_rows=4), metadata=traceparent("stream")))


def refuse_and_fail(client: Client) -> None:
    rpc_error(lambda: client.predict(predict_request("linear", request_id="refused"), metadata=traceparent("wrong")))
    rpc_error(lambda: client.predict(predict_request("nobody"), metadata=traceparent("unknown")))
    negative = predict_request("faulty", float_tensor("x", [[-1]]))
    rpc_error(lambda: client.predict(negative, metadata=traceparent("failed")))


def cancel_a_call(server: PredictdProcess) -> None:
    future = server.client.predict_future(slow_request(1000), metadata=traceparent("cancelled"))
    server.wait_for_metric("predictd_requests_running", 1, model="slow")
    future.cancel()
    server.wait_until_idle()


def cancel_a_stream(server: PredictdProcess) -> None:
    rows = predict_request("slow", float_tensor("x", [[20.0]] * 400))
    stream = server.client.predict_stream(PredictStreamRequest(predict=rows), metadata=traceparent("hung up"))
    assert next(stream).WhichOneof("event") == "start"
    assert next(stream).WhichOneof("event") == "rows"
    stream.cancel()
    server.wait_until_idle()


@pytest.fixture(scope="module", name="exported", params=[export_to_receiver, export_to_file], ids=["otlp", "file"])
def fixture_exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return request.param(call_everything, 1.0, tmp_path_factory.mktemp("spans"))


def code_of(call: Span) -> StatusCode:
    return next(code for code in StatusCode if code.value[0] == call["attributes"]["rpc.grpc.status_code"])


def test_a_sampled_parent_is_continued(exported: Exported) -> None:
    call, _ = exported.trace("sampled")
    assert call["name"] == "predictd.v1.PredictionService/Predict"
    assert call["parent_span_id"] == PARENT_SPAN
    assert call["trace_state"] == "vendor=value"
    attributes = call["attributes"]
    assert attributes.pop("client.port") > 0
    assert attributes == {
        "rpc.system": "grpc",
        "rpc.service": "predictd.v1.PredictionService",
        "rpc.method": "Predict",
        "rpc.grpc.status_code": 0,
        "client.address": "127.0.0.1",
        "predictd.model.name": "linear",
        "predictd.model.version": 1,
        "predictd.request_id": "with parent",
    }
    assert (call["status"], call["events"]) == ("UNSET", [])
    assert call["resource"]["service.name"] == "predictd"
    assert call["resource"]["service.version"]


def test_a_call_has_its_phases_below_it_one_after_the_other(exported: Exported) -> None:
    for name in ("sampled", "slow"):
        call, children = exported.trace(name)
        assert [child["name"] for child in children] == PHASES
        for child in children:
            assert (child["trace_id"], child["kind"]) == (call["trace_id"], "INTERNAL")
            assert call["start_ns"] <= child["start_ns"] <= child["end_ns"] <= call["end_ns"]
        for before, after in itertools.pairwise(children):
            assert before["end_ns"] <= after["start_ns"]


def test_the_forward_phase_says_how_many_rows_ran_and_takes_the_time(exported: Exported) -> None:
    call, children = exported.trace("slow")
    forward = children[2]
    assert forward["attributes"] == {"predictd.batch.rows": 3}
    assert 2 * (forward["end_ns"] - forward["start_ns"]) > call["end_ns"] - call["start_ns"]


def test_a_parent_that_is_not_sampled_is_not_exported(exported: Exported) -> None:
    assert trace_id("not sampled") not in [span["trace_id"] for span in exported.spans]


@pytest.mark.parametrize("request_id", ["no parent", "bad parent"])
def test_a_call_without_a_valid_parent_begins_a_trace(exported: Exported, request_id: str) -> None:
    call, children = exported.request(request_id)
    assert call["parent_span_id"].strip("0") == ""
    assert call["trace_id"].strip("0") != ""
    assert call["trace_state"] == ""
    assert [child["name"] for child in children] == PHASES


def test_span_ids_are_unique(exported: Exported) -> None:
    ids = [span["span_id"] for span in exported.spans]
    assert len(ids) == len(set(ids))


def test_each_chunk_of_a_stream_has_its_phases(exported: Exported) -> None:
    call, children = exported.trace("stream")
    assert call["name"] == "predictd.v1.PredictionService/PredictStream"
    names = [child["name"] for child in children]
    assert names.count("decode") == names.count("respond") == 1
    assert names.count("queue") == names.count("forward") == 3
    assert children[-1]["name"] == "respond"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("wrong", StatusCode.INVALID_ARGUMENT, "expected the input x, got none"),
        ("unknown", StatusCode.NOT_FOUND, "there is no model 'nobody'"),
    ],
)
def test_a_callers_error_is_told_but_is_no_error_of_the_server(
    exported: Exported, name: str, code: StatusCode, words: str
) -> None:
    call, children = exported.trace(name)
    assert code_of(call) == code
    assert words in call["attributes"]["predictd.status_message"]
    assert (call["status"], call["events"]) == ("UNSET", [])
    assert [child["name"] for child in children] == ["decode", "respond"]
    if name == "wrong":
        assert call["attributes"]["predictd.request_id"] == "refused"


def test_a_failed_model_is_an_error_with_the_error_id(exported: Exported) -> None:
    call, _ = exported.trace("failed")
    assert code_of(call) == StatusCode.INTERNAL
    assert call["attributes"]["predictd.model.name"] == "faulty"
    assert call["status"] == "ERROR"
    assert "error id" in call["status_message"]
    assert "square" not in json.dumps(call)


def test_a_passed_deadline_is_an_error_with_an_event(exported: Exported) -> None:
    call, _ = exported.trace("deadline")
    assert code_of(call) == StatusCode.DEADLINE_EXCEEDED
    assert [event["name"] for event in call["events"]] == ["deadline exceeded"]
    assert (call["status"], call["status_message"]) == ("ERROR", "the deadline passed in the batch")
    assert call["end_ns"] - call["start_ns"] >= 150_000_000


@pytest.mark.parametrize(("name", "where"), [("cancelled", "batch"), ("hung up", "stream")])
def test_a_cancelled_call_has_an_event_and_is_no_error(exported: Exported, name: str, where: str) -> None:
    call, _ = exported.trace(name)
    assert code_of(call) == StatusCode.CANCELLED
    assert [event["name"] for event in call["events"]] == ["cancelled by the caller"]
    assert call["status"] == "UNSET"
    assert call["attributes"]["predictd.status_message"].startswith("the caller went away; the request was in the ")
    if name == "cancelled":
        assert call["attributes"]["predictd.status_message"].endswith(where)


# --- Sampling ---


def call_with_and_without_parent(server: PredictdProcess) -> None:
    for i in range(20):
        server.client.predict(one_row(f"no parent {i}"))
    server.client.predict(one_row("with parent"), metadata=traceparent("sampled"))
    server.client.predict(one_row("not sampled"), metadata=traceparent("not sampled", flags="00"))


def test_with_a_ratio_of_0_only_sampled_parents_are_exported(tmp_path: Path) -> None:
    exported = export_to_file(call_with_and_without_parent, 0.0, tmp_path)
    assert {span["trace_id"] for span in exported.spans} == {trace_id("sampled")}


def test_with_a_ratio_of_1_all_but_unsampled_parents_are_exported(tmp_path: Path) -> None:
    exported = export_to_file(call_with_and_without_parent, 1.0, tmp_path)
    ids = {span["attributes"]["predictd.request_id"] for span in exported.spans if span["name"].endswith("/Predict")}
    assert ids == {f"no parent {i}" for i in range(20)} | {"with parent"}


# --- OpenTelemetry's own variables ---


def call_once(server: PredictdProcess) -> None:
    server.client.predict(one_row("one"))
    server.wait_until_idle()


def test_opentelemetrys_variables_are_enough_to_export(tmp_path: Path) -> None:
    def serve(endpoint: str) -> PredictdProcess:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3000",
            "OTEL_SERVICE_NAME": "reader",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test,service.version=9",
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        }
        return PredictdProcess(["linear"], env=variables)

    (call, _) = receive(serve, call_once, tmp_path).request("one")
    assert call["headers"]["x-tenant"] == "blue"
    assert call["resource"]["service.name"] == "reader"
    assert call["resource"]["service.version"] == "9"
    assert call["resource"]["deployment.environment"] == "test"


def test_flags_and_our_own_variables_beat_opentelemetrys(tmp_path: Path) -> None:
    def serve(endpoint: str) -> PredictdProcess:
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "PREDICTD_TRACE_SAMPLE_RATIO": "1",
        }
        return PredictdProcess(["linear"], [f"--trace-endpoint={endpoint}"], env=variables)

    receive(serve, call_once, tmp_path).request("one")


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"PREDICTD_TRACE_EXPORTER": "none"}],
    ids=str,
)
def test_traces_are_off_if_a_variable_says_so(variables: dict[str, str], tmp_path: Path) -> None:
    def serve(endpoint: str) -> PredictdProcess:
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "parentbased_always_on"}
        return PredictdProcess(["linear"], env={**more, **variables})

    assert receive(serve, call_once, tmp_path).spans == []


def test_what_is_wrong_with_opentelemetrys_variables_is_told_and_ends_nothing() -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    with PredictdProcess(["linear"], env=variables) as server:
        record = server.wait_for_log(lambda record: record["msg"].startswith("OTEL_EXPORTER_OTLP_PROTOCOL=http/"))
        assert record["level"] == "warning"
        assert "grpc" in record["msg"]


# --- Trouble ---


@pytest.fixture(name="without_receiver")
def fixture_without_receiver() -> Iterator[PredictdProcess]:
    # Nothing listens on port 1 of loopback.
    flags = ["--trace-exporter=otlp", "--trace-endpoint=http://127.0.0.1:1", "--trace-sample-ratio=1"]
    with PredictdProcess(["linear"], flags) as server:
        yield server


def test_a_receiver_that_is_away_harms_no_call_and_is_told_in_the_log(without_receiver: PredictdProcess) -> None:
    for i in range(100):
        assert without_receiver.client.predict(one_row(str(i))).request_id == str(i)
    assert without_receiver.stop(timeout=20) == 0
    without_receiver.check_no_call_was_lost()
    assert [record for record in without_receiver.log_records() if record["level"] in ("warning", "error")]


def test_a_trace_file_that_cannot_be_written_stops_the_start(test_models: Path, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "spans.jsonl"
    arguments = [
        "--trace-exporter=file",
        f"--trace-file={file}",
        "--listen=127.0.0.1:0",
        "--metrics-listen=127.0.0.1:0",
    ]
    result = run_predictd(f"--model-repository={test_models}", "--log-format=json", *arguments)
    assert result.returncode == 1
    record = json.loads(result.stderr.splitlines()[-1])
    assert record["msg"] == "cannot start"
    assert str(file) in record["cause"]


def test_callers_force_only_so_many_traces_a_second(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    flags = [
        "--trace-exporter=file",
        f"--trace-file={file}",
        "--trace-sample-ratio=0",
        "--trace-max-forced-per-second=3",
    ]
    with PredictdProcess(["linear"], flags) as server:
        for _ in range(50):
            server.client.predict(one_row(), metadata=traceparent("forced"))
        server.wait_until_idle()
        refused = server.metric("predictd_traces_refused_total")
    calls = [span for span in plain_spans(file) if span["kind"] == "SERVER"]
    assert 3 <= len(calls) < 25
    assert len(calls) + refused == 50
