"""A small OTLP/gRPC trace receiver for tests.

    python otlp_receiver.py SPANS_FILE

Listens on a free port of 127.0.0.1, prints the port, and appends every span that it receives to SPANS_FILE as one line
of JSON: name, kind, ids in hexadecimal, times in nanoseconds, attributes and resource as plain objects, and the headers
that the request came with. Ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from concurrent import futures
from pathlib import Path
from typing import Any, TextIO

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


def plain_value(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return plain_attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else None


def plain_attributes(attributes: Any) -> dict[str, Any]:
    return {attribute.key: plain_value(attribute.value) for attribute in attributes}


def plain_span(span: trace_pb2.Span, resource: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "trace_state": span.trace_state,
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": plain_attributes(span.attributes),
        "events": [{"name": event.name, "time_ns": event.time_unix_nano} for event in span.events],
        "status": trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        "status_message": span.status.message,
        "resource": resource,
        "headers": headers,
    }


class TraceReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Appends the spans of every export request to a file, and flushes it before it answers."""

    def __init__(self, out: TextIO) -> None:
        self._lock = threading.Lock()
        self._out = out

    def Export(  # noqa: N802  # gRPC calls it by the name in the protocol.
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        with self._lock:
            for resource_spans in request.resource_spans:
                resource = plain_attributes(resource_spans.resource.attributes)
                for scope_spans in resource_spans.scope_spans:
                    for span in scope_spans.spans:
                        self._out.write(json.dumps(plain_span(span, resource, headers)) + "\n")
            self._out.flush()
        return trace_service_pb2.ExportTraceServiceResponse()


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: otlp_receiver.py SPANS_FILE", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Path(sys.argv[1]).open("a", encoding="utf-8") as out:
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(TraceReceiver(out), server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        print(port, flush=True)
        stop.wait()
        server.stop(grace=1).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
