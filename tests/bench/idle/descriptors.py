"""The second part of `connections`: predictd when it has no file descriptor left for one more connection."""

import argparse
import socket
import time
from contextlib import ExitStack
from typing import Any

import grpc
import numpy as np

from bench.harness.contestants import Stage
from bench.harness.messages import PREDICT, WIDTH
from bench.idle.idlers import limited

# Room for the server's own files and some connections, and more connections than there is room for.
LIMIT = 100
CROWD = 200
WATCHED_SECONDS = 3.0
PAUSE_SECONDS = 0.02
CALL_SECONDS = 5
RECOVERY_SECONDS = 30


def run(options: argparse.Namespace) -> dict[str, Any]:
    """What happens to a connection that was there before, to the server's CPU time meanwhile, and to new ones after."""
    with ExitStack() as stack:
        stage = Stage(options, stack)
        server = stage.predictd("few descriptors", wrapper=limited(LIMIT))
        request = stage.messages.request(np.zeros(WIDTH, dtype=np.float32))
        channel = stack.enter_context(grpc.insecure_channel(server.address))
        call = channel.unary_unary(PREDICT)
        call(request, timeout=CALL_SECONDS)
        crowd = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(CROWD)]
        failures, calls = 0, 0
        cpu, started = server.cpu_seconds(), time.monotonic()
        while time.monotonic() < started + WATCHED_SECONDS:
            calls += 1
            try:
                call(request, timeout=CALL_SECONDS)
            except grpc.RpcError:
                failures += 1
            time.sleep(PAUSE_SECONDS)
        cores = (server.cpu_seconds() - cpu) / (time.monotonic() - started)
        for one in crowd:
            one.close()
        recovered = seconds_until_accepting(server.address, request)
    print(f"\nout of descriptors ({LIMIT} for {CROWD} connections): a connection that was there before had {failures}")
    print(f"failures in {calls} calls, the server kept {cores:.2f} cores busy")
    after = "was not served" if recovered is None else f"was served after {recovered:.1f} s"
    print(f"when there were descriptors again, a new connection {after}")
    return {"calls": calls, "failures": failures, "cores": cores, "recovery_seconds": recovered}


def seconds_until_accepting(address: str, request: bytes) -> float | None:
    """How long a new client has to try; None if it gives up."""
    started = time.monotonic()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 1000)]
    with grpc.insecure_channel(address, options) as channel:
        try:
            channel.unary_unary(PREDICT)(request, timeout=RECOVERY_SECONDS, wait_for_ready=True)
        except grpc.RpcError:
            return None
    return time.monotonic() - started
