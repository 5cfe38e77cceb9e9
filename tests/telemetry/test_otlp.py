"""The OTLP/gRPC exporter against a receiver that uses another implementation of gRPC and protobuf.

The environment variable OTLP_EMIT names the program that sends the spans (tests/telemetry/otlp_emit.cc).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

START_NS = 1767323045 * 10**9
MS = 10**6


@pytest.fixture(name="receiver")
def fixture_receiver(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A running receiver: its port and its file of spans."""
    spans_file = tmp_path / "spans.jsonl"
    script = Path(__file__).with_name("otlp_receiver.py")
    with subprocess.Popen([sys.executable, script, spans_file], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), spans_file
        finally:
            process.terminate()
    assert process.returncode == 0


def emit(port: int) -> subprocess.CompletedProcess[str]:
    command = [os.environ["OTLP_EMIT"], f"http://127.0.0.1:{port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def read_spans(path: Path) -> dict[str, dict[str, Any]]:
    return {span["name"]: span for span in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def test_a_call_arrives_with_its_phases(receiver: tuple[int, Path]) -> None:
    port, spans_file = receiver
    result = emit(port)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert result.stderr == ""

    spans = read_spans(spans_file)
    call = spans.pop("predictd.v1.PredictionService/Predict")
    assert call["kind"] == "SERVER"
    assert call["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert call["parent_span_id"] == "00f067aa0ba902b7"
    assert call["trace_state"] == "vendor=value"
    assert call["start_ns"] == START_NS
    assert START_NS < call["end_ns"] < START_NS + 60 * 10**9
    assert call["attributes"] == {
        "rpc.system": "grpc",
        "rpc.service": "predictd.v1.PredictionService",
        "rpc.method": "Predict",
        "rpc.grpc.status_code": 4,
        "client.address": "::1",
        "client.port": 40000,
        "predictd.model": "digits",
    }
    assert (call["status"], call["status_message"]) == ("ERROR", "the deadline passed while queued")
    assert [event["name"] for event in call["events"]] == ["deadline exceeded"]
    assert call["resource"]["service.name"] == "predictd"
    assert call["resource"]["service.instance.id"] == "replica-1"

    times = {"decode": (0, 1), "queue": (1, 4), "forward": (4, 9), "respond": (9, 10)}
    assert spans.keys() == times.keys()
    for name, (start_ms, end_ms) in times.items():
        assert spans[name]["parent_span_id"] == call["span_id"]
        assert spans[name]["trace_id"] == call["trace_id"]
        assert spans[name]["kind"] == "INTERNAL"
        assert spans[name]["start_ns"] == START_NS + start_ms * MS
        assert spans[name]["end_ns"] == START_NS + end_ms * MS
    assert spans["forward"]["attributes"] == {"predictd.batch_size": 8}


def test_two_processes_share_a_receiver(receiver: tuple[int, Path]) -> None:
    port, spans_file = receiver
    for _ in range(2):
        assert emit(port).returncode == 0
    assert len(spans_file.read_text(encoding="utf-8").splitlines()) == 10
