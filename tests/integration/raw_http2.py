"""A hand-made HTTP/2 client that behaves as badly as a test wants: it sends what it is told and reads only when told."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Frame types (RFC 9113, section 6).
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
# Flags.
ACK, END_STREAM, END_HEADERS = 0x1, 0x1, 0x4
# Settings.
INITIAL_WINDOW_SIZE = 0x4
# Error codes.
REFUSED_STREAM = 0x7


@dataclass(frozen=True)
class Frame:
    """A frame that the server sent."""

    type: int
    flags: int
    stream: int
    payload: bytes

    @property
    def error_code(self) -> int:
        """Of a RST_STREAM or GOAWAY."""
        return struct.unpack(">I", self.payload[-4:] if self.type == RST_STREAM else self.payload[4:8])[0]


def encode_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def encode_settings(settings: dict[int, int]) -> bytes:
    payload = b"".join(struct.pack(">HI", key, value) for key, value in settings.items())
    return encode_frame(SETTINGS, 0, 0, payload)


def encode_call(stream: int, path: str, headers: dict[str, str] | None = None) -> bytes:
    """The HEADERS frame that begins a gRPC call."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "predictd",
        "te": "trailers",
        "content-type": "application/grpc",
        **(headers or {}),
    }
    block = b"".join(_literal_field(name.encode(), value.encode()) for name, value in fields.items())
    return encode_frame(HEADERS, END_HEADERS, stream, block)


def encode_message(stream: int, message: bytes) -> bytes:
    """The DATA frames of a call's only message, at most 16 KiB each."""
    body = struct.pack(">BI", 0, len(message)) + message
    parts = [body[start : start + 16384] for start in range(0, len(body), 16384)]
    frames = [encode_frame(DATA, 0, stream, part) for part in parts[:-1]]
    return b"".join([*frames, encode_frame(DATA, END_STREAM, stream, parts[-1])])


def _literal_field(name: bytes, value: bytes) -> bytes:
    """HPACK: a literal without indexing, neither part Huffman-coded."""
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def _length(value: int) -> bytes:
    if value < 127:
        return bytes([value])
    encoded = [127]
    value -= 127
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes([*encoded, value])


class RawHttp2:
    """One connection, its preface and settings sent. Not thread-safe; nothing is read or answered but in `read_until`."""

    def __init__(self, address: str, settings: dict[int, int] | None = None) -> None:
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._received = b""
        self.send(PREFACE + encode_settings(settings or {}))

    def __enter__(self) -> RawHttp2:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def reset(self) -> None:
        """Closes with a TCP RST instead of a FIN, as a process that crashed or a firewall does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def read_until(self, kind: int, stream: int | None = None, timeout: float = 10.0) -> Frame:
        """The next frame of that kind (and stream); skips others, acknowledging settings and pings as one must.

        Raises TimeoutError, or EOFError when the server closed the connection.
        """
        deadline = time.monotonic() + timeout
        while True:
            frame = self._read_frame(deadline)
            if frame.type in (SETTINGS, PING) and not frame.flags & ACK:
                self.send(encode_frame(frame.type, ACK, 0, frame.payload if frame.type == PING else b""))
            if frame.type == kind and stream in (None, frame.stream):
                return frame

    def _read_frame(self, deadline: float) -> Frame:
        head = self._read(9, deadline)
        length = int.from_bytes(head[:3], "big")
        stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        return Frame(head[3], head[4], stream, self._read(length, deadline))

    def _read(self, count: int, deadline: float) -> bytes:
        while len(self._received) < count:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                more = self._socket.recv(65536)
            except ConnectionResetError as error:
                raise EOFError("the server reset the connection") from error
            if not more:
                raise EOFError("the server closed the connection")
            self._received += more
        taken, self._received = self._received[:count], self._received[count:]
        return taken
