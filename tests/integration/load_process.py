"""Steady load from a process of its own: calls without deadlines, until the server refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import grpc
import numpy

from protocol import Client, PredictStreamRequest, predict_request, raw_tensor, slow_request

UNARY_THREADS = 4
STREAM_THREADS = 2
STREAM_ROWS = 24


class LoadProcess:
    """Is under way when it has been entered. Each of its threads calls again and again, over connections that they
    share, and stops at the first call that does not end OK.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> LoadProcess:
        command = [sys.executable, str(Path(__file__)), self._address]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "under way\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def result(self, timeout: float = 60) -> Counter[str]:
        """When all threads have stopped: how many calls ended how, as "Predict OK"."""
        output, _ = self._process.communicate(timeout=timeout)
        assert self._process.returncode == 0, self._process.returncode
        return Counter(json.loads(output))


class _Load:
    def __init__(self, address: str) -> None:
        self._channels = [
            grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(2)
        ]
        self._lock = threading.Lock()
        self._ended: Counter[str] = Counter()
        self._under_way = threading.Event()

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._repeat, args=(name, call, self._channels[i % len(self._channels)]))
            for name, call, count in (("Predict", _predict, UNARY_THREADS), ("PredictStream", _stream, STREAM_THREADS))
            for i in range(count)
        ]
        for thread in threads:
            thread.start()
        self._under_way.wait(30)
        print("under way", flush=True)
        for thread in threads:
            thread.join()
        print(json.dumps(self._ended))

    def _repeat(self, name: str, call: Callable[[Client], object], channel: grpc.Channel) -> None:
        client = Client(channel)
        while True:
            try:
                call(client)
                code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                code = error.code()
            with self._lock:
                self._ended[f"{name} {code.name}"] += 1
                if self._ended["Predict OK"] > 0 and self._ended["PredictStream OK"] > 0:
                    self._under_way.set()
            if code != grpc.StatusCode.OK:
                return


def _predict(client: Client) -> None:
    row = numpy.random.default_rng().random((1, 64), numpy.float32)
    answer = client.predict(predict_request("linear", raw_tensor("x", row)), timeout=None)
    assert answer.outputs[0].shape == [1, 64]


def _stream(client: Client) -> None:
    request = PredictStreamRequest(predict=slow_request(2, rows=STREAM_ROWS), chunk_rows=2)
    events = list(client.predict_stream(request, timeout=None))
    assert sum(event.rows.row_count for event in events) == STREAM_ROWS
    assert events[-1].summary.rows_ok == STREAM_ROWS


if __name__ == "__main__":
    _Load(sys.argv[1]).run()
