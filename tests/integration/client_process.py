"""A gRPC client in a process of its own, which a test can kill or suspend in the middle of a call."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

import grpc

from predictd_process import eventually

CONNECTED, MESSAGE = "connected", "message"


class ClientProcess:
    """Connects when it is entered, makes one call when told to go, and is killed at the end. The call's method is that
    of a full path such as protocol.PREDICT_STREAM; unary calls are streams of one message here.
    """

    def __init__(self, address: str, method: str, request: bytes) -> None:
        self._address = address
        self._method = method
        self._request = request
        self._events: list[str] = []

    def __enter__(self) -> ClientProcess:
        with tempfile.NamedTemporaryFile() as request:
            request.write(self._request)
            request.flush()
            self._process = subprocess.Popen(
                [sys.executable, Path(__file__), self._address, self._method, request.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            threading.Thread(target=self._read_events, daemon=True).start()
            try:
                eventually(lambda: CONNECTED in self._events, 30, "the client process to connect")
            except BaseException:
                self.kill()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def messages(self) -> int:
        """How many have come so far."""
        return self._events.count(MESSAGE)

    def wait_for_messages(self, count: int) -> None:
        eventually(lambda: self.messages() >= count, 30, f"{count} messages")

    def suspend(self) -> None:
        """Until it is killed, it takes no more from its connection, nor answers pings."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.append(line.strip())


def main(address: str, method: str, request_file: str) -> None:
    request = Path(request_file).read_bytes()
    # Flow control does not open the window wider than it is at first.
    with grpc.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)
        print(CONNECTED, flush=True)
        sys.stdin.readline()
        for _ in channel.unary_stream(method)(request):
            print(MESSAGE, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
