"""A completions server like llama-cpp-python's that goes wrong on purpose, to show that the benchmark notices."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tokenizers import Tokenizer

FAULTS = {
    "none": "answers as it is asked",
    "stops": "ends answers after half of their tokens, and says so",
    "short": "leaves out the last token",
    "breaks": "closes the connection before the end mark",
    "fails": "says that something went wrong instead of the last token",
    "refuses": "answers with HTTP status 500",
    "misreads": "takes prompts for a token less than they are",
}
# What it answers, again and again, a message each; the second is two tokens that are one character.
PIECES = ["a", "\u00e9", "b"]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.fault
        if self.path == "/extras/tokenize":
            ids = self.server.tokenizer.encode(body["input"], add_special_tokens=False).ids
            self._reply({"tokens": ids[1:] if fault == "misreads" else ids})
            return
        self.server.prompts.append(body["prompt"])
        if not body.get("stream"):
            self._reply({"choices": [{"text": "a", "finish_reason": "length"}]})
            return
        if fault == "refuses":
            self.send_error(500)
            return
        self.send_response(200)
        self.end_headers()
        for message in self._messages(body["max_tokens"]):
            self.wfile.write(b"data: " + json.dumps(message).encode() + b"\n\n")
        if fault != "breaks":
            self.wfile.write(b"data: [DONE]\n\n")

    def _messages(self, tokens: int) -> Iterator[dict[str, Any]]:
        fault = self.server.fault
        left = tokens // 2 if fault == "stops" else tokens - 1 if fault in ("short", "fails") else tokens
        for text in itertools.cycle(PIECES):
            if (left := left - len(text.encode())) < 0:
                break
            yield {"choices": [{"text": text, "finish_reason": None}]}
        if fault == "fails":
            yield {"error": {"message": "on purpose"}}
        yield {"choices": [{"text": "", "finish_reason": "stop" if fault == "stops" else "length"}]}

    def _reply(self, message: dict[str, Any]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(message).encode())

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self, tokenizer: Tokenizer, fault: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tokenizer = tokenizer
        self.fault = fault
        # Those of all completions that were asked for.
        self.prompts: list[str] = []


@contextmanager
def faulty_completions(tokenizer: Tokenizer, fault: str) -> Iterator[_Server]:
    """Serves until the block ends."""
    with _Server(tokenizer, fault) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
