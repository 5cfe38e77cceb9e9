"""A server that goes wrong on purpose, so that tests can show that the benchmark notices."""

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np

from bench.harness.messages import PREDICT, PREDICT_STREAM, PredictMessages

FAULTS = {
    "numbers": "answers with -x",
    "status": "answers every second call of clients that are not gRPC with an error (an HTTP 200 to those)",
    "short": "leaves the last row out of a stream",
}


class FaultyEcho(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, messages: PredictMessages, fault: str) -> None:
        self._messages = messages
        self._fault = fault
        self._calls = itertools.count()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method == PREDICT_STREAM:
            return grpc.unary_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._predict) if details.method == PREDICT else None

    def _fail_every_second(self, context: grpc.ServicerContext) -> None:
        stranger = self._fault == "status" and "grpc" not in dict(context.invocation_metadata())["user-agent"]
        if stranger and next(self._calls) % 2 == 1:
            context.abort(grpc.StatusCode.INTERNAL, "on purpose")

    def _stream(self, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._fail_every_second(context)
        rows = self._messages.stream_rows(data)
        answers = self._messages.stream_answers(-rows if self._fault == "numbers" else rows)
        if self._fault == "short":
            del answers[-2]
        yield from answers

    def _predict(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        self._fail_every_second(context)
        request = self._messages.request_class.FromString(data)
        response = self._messages.response_class(model_name=request.model_name, outputs=request.inputs)
        response.outputs[0].name = "y"
        if self._fault == "numbers":
            response.outputs[0].raw = (-np.frombuffer(request.inputs[0].raw, "<f4")).tobytes()
        return response.SerializeToString()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, required=True)
    fault = parser.parse_args().fault
    with tempfile.TemporaryDirectory() as folder:
        messages = PredictMessages(Path(__file__).resolve().parents[3], Path(folder))
    server = grpc.server(ThreadPoolExecutor(1), handlers=[FaultyEcho(messages, fault)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
