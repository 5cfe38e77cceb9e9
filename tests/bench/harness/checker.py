"""The second client: a few calls a second beside the load, each answer checked by its numbers."""

import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

import grpc
import numpy as np

from bench.harness.failure import BenchFailure
from bench.harness.messages import WIDTH, InferMessages, PredictMessages

PAUSE_SECONDS = 0.1
CALL_SECONDS = 10


Messages = TypeVar("Messages", PredictMessages, InferMessages)


class Checker(Generic[Messages]):
    """Checks one server's answers against `expected`. Made and used by one thread; its own thread calls meanwhile.

    `with checker:` calls while the block runs, at a pace too slow to disturb it, and raises at its end if any call
    failed or any answer was wrong.
    """

    def __init__(
        self,
        name: str,
        address: str,
        messages: Messages,
        expected: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._name = name
        self._messages: Messages = messages
        self._expected = expected
        self._random = np.random.default_rng(7)
        self._channel = grpc.insecure_channel(address)
        self._call = self._channel.unary_unary(messages.path)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BenchFailure | None = None
        self.checked = 0

    def check_one(self) -> int:
        """One call, now. Returns the size of the answer's message in bytes. Raises when it is not right."""
        row = self._random.standard_normal(WIDTH, dtype=np.float32)
        try:
            data = self._call(self._messages.request(row), timeout=CALL_SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            raise BenchFailure(f"{self._name} answered {error.code().name}: {error.details()}") from error
        self.require_close(self._messages.answer(data), self._expected(row))
        self.checked += 1
        return len(data)

    def require_close(self, answer: np.ndarray, expected: np.ndarray) -> None:
        if not np.allclose(answer, expected, rtol=1e-4, atol=1e-5):
            worst = float(np.abs(answer - expected).max())
            raise BenchFailure(f"{self._name} answered with wrong numbers: off by up to {worst:g}")

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(target=self._check_until_stopped)
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._thread is not None
        self._stop.set()
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _check_until_stopped(self) -> None:
        try:
            while not self._stop.wait(PAUSE_SECONDS):
                self.check_one()
        except BenchFailure as failure:
            self._failure = failure
