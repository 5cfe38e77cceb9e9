"""Requests that run together: what the tests of batches need."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc

from predictd_process import PredictdProcess, eventually
from protocol import server_timing, slow_request


def busy_or_done(server: PredictdProcess, call: grpc.Future) -> bool:
    return all_run(server) or call.done()


def run_in_batches(server: PredictdProcess, requests: list[Any], formed: Callable[[list[Any]], bool]) -> list[Any]:
    """The ended calls of requests that were sent while all workers were busy, so that they waited together. Tries again
    with workers that are busy for longer if no batch was formed on a machine that is slow to send."""
    client = server.client
    for milliseconds in (150, 600, 2400):
        held = [client.predict_future(slow_request(milliseconds, rows=4)) for _ in range(2)]
        eventually(partial(busy_or_done, server, held[0]), 30, "the workers to be busy")
        futures = [client.predict_future(request) for request in requests]
        for future in (*held, *futures):
            future.exception()
        server.wait_until_idle()
        if formed(futures):
            return futures
    raise AssertionError("no batch was formed")


def all_run(server: PredictdProcess) -> bool:
    return server.metric("predictd_requests_running", model="slow") == 2


def some_batch_has_more_rows_than(rows: int) -> Callable[[list[Any]], bool]:
    return lambda futures: max(server_timing(future)["batch"] for future in futures) > rows
