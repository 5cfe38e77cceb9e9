"""Connections and streams that do nothing, in a process of its own: many sockets and next to no CPU time.

    python -m bench.idle.idle_clients ADDRESS --connections N [--streams M --path PATH --message FILE] [--no-window]

Opens N connections with M calls on each, and prints `open connections=N streams=N*M` once the server has answered on
every one of them. Answers the server's pings until its standard input ends, then prints `held connections=A streams=B`:
what was still open.
"""

import argparse
import selectors
import socket
import sys
import time
from pathlib import Path

from integration.raw_http2 import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    encode_call,
    encode_frame,
    encode_message,
    encode_settings,
)  # fmt: skip

# How many connections may wait for the server's first frame: below every listening backlog.
UNANSWERED = 64
OPEN_SECONDS = 120
FRAME_HEAD = 9


class Connection:
    """One socket with its calls. Reads what comes, answers what must be answered, and drops the rest."""

    def __init__(self, address: tuple[str, int], settings: dict[int, int], calls: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.sendall(PREFACE + encode_settings(settings) + calls)
        self.socket.setblocking(False)
        self.greeted = False
        self.answered: set[int] = set()
        self.ended: set[int] = set()
        self.closed = False
        self._received = b""

    def read(self) -> None:
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        self.closed = not data
        self._received += data
        while len(self._received) >= FRAME_HEAD:
            end = FRAME_HEAD + int.from_bytes(self._received[:3], "big")
            if len(self._received) < end:
                break
            frame, self._received = self._received[:end], self._received[end:]
            stream = int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF
            self._handle(frame[3], frame[4], stream, frame[FRAME_HEAD:])

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.greeted = True
            self.socket.sendall(encode_frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(encode_frame(PING, ACK, 0, payload))
        elif kind == HEADERS:
            self.answered.add(stream)
        elif kind == DATA and payload:
            self.socket.sendall(encode_frame(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4, "big")))
        elif kind == GOAWAY:
            self.closed = True
        if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
            self.ended.add(stream)


class Crowd:
    """All connections. One thread."""

    def __init__(self, address: str, streams: int, calls: bytes, settings: dict[int, int]) -> None:
        host, port = address.rsplit(":", 1)
        self._address = (host, int(port))
        self._streams, self._calls, self._settings = streams, calls, settings
        self._selector = selectors.DefaultSelector()
        self._connections: list[Connection] = []

    def open(self, count: int) -> None:
        """Returns when every connection was greeted and every call answered. Raises TimeoutError."""
        deadline = time.monotonic() + OPEN_SECONDS
        ready = 0
        while ready < count:
            while len(self._connections) < min(count, ready + UNANSWERED):
                connection = Connection(self._address, self._settings, self._calls)
                self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                self._connections.append(connection)
            self.serve(0.05)
            while ready < len(self._connections) and self._is_ready(self._connections[ready]):
                ready += 1
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server answered on {ready} of {count} connections")

    def _is_ready(self, connection: Connection) -> bool:
        return connection.greeted and len(connection.answered) == self._streams

    def serve(self, seconds: float, until: int | None = None) -> bool:
        """Answers what came, waiting for it so long. True when there is something to read from descriptor `until`."""
        if until is not None and until not in self._selector.get_map():
            self._selector.register(until, selectors.EVENT_READ)
        ended = False
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                ended = True
                continue
            key.data.read()
            if key.data.closed:
                self._selector.unregister(key.data.socket)
        return ended

    def held(self) -> tuple[int, int]:
        """Connections and calls that are still open."""
        alive = [connection for connection in self._connections if not connection.closed]
        return len(alive), sum(self._streams - len(connection.ended) for connection in alive)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--streams", type=int, default=0, help="calls on each connection")
    parser.add_argument("--path", default="")
    parser.add_argument("--message", type=Path, help="the request of each call")
    parser.add_argument("--no-window", action="store_true", help="let the server send no message at all")
    options = parser.parse_args()
    message = options.message.read_bytes() if options.message else b""
    numbers = range(1, 2 * options.streams, 2)
    calls = b"".join(encode_call(number, options.path) + encode_message(number, message) for number in numbers)
    crowd = Crowd(options.address, options.streams, calls, {INITIAL_WINDOW_SIZE: 0} if options.no_window else {})
    crowd.open(options.connections)
    print(f"open connections={options.connections} streams={options.connections * options.streams}", flush=True)
    while not crowd.serve(1.0, until=sys.stdin.fileno()):
        pass
    crowd.serve(0)
    connections, streams = crowd.held()
    print(f"held connections={connections} streams={streams}", flush=True)


if __name__ == "__main__":
    main()
