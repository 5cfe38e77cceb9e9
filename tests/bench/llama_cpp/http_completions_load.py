"""A client of llama-cpp-python's HTTP server for `scripts/bench generation`: carries out plans as streamed completions.

Knows nothing of the other files here. Lines in and out are those of bench_generation_load.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer

# For each step of a request: a server that hangs is noticed.
PATIENCE_SECONDS = 180
# Added to a logit: no model chooses such a token.
NEVER = -1000


class Pieces:
    """The tokens of a message's text. Most messages are one token; a character of several comes with its last one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        texts = tokenizer.decode_batch([[i] for i in range(tokenizer.get_vocab_size())], skip_special_tokens=False)
        self._ids = {text: i for i, text in enumerate(texts) if "\ufffd" not in text}

    def tokens(self, text: str) -> list[int]:
        if text in self._ids:
            return [self._ids[text]]
        # A token without a text of its own, like the marks of a chat, has an empty message.
        return self._tokenizer.encode(text, add_special_tokens=False).ids or [-1]


class Connection:
    """To the server, of one thread."""

    def __init__(self, host: str, port: int) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)

    def post(self, path: str, body: dict[str, Any]) -> http.client.HTTPResponse:
        self._http.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self._http.getresponse()
        if response.status != 200:
            raise OSError(f"HTTP status {response.status}: {response.read(1000).decode(errors='replace')}")
        return response

    def close(self) -> None:
        self._http.close()


def messages(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The choices of a stream, one for each message. Raises if it ends before its end mark."""
    for line in response:
        if line.startswith(b"data: [DONE]"):
            # What is left must be read, or the connection could not be used again.
            response.read()
            return
        if line.startswith(b"data: "):
            message = json.loads(line.removeprefix(b"data: "))
            if "choices" not in message:
                raise OSError(f"the stream broke: {message}")
            yield message["choices"][0]
    raise OSError("the stream broke")


class Runner:
    def __init__(self, options: argparse.Namespace) -> None:
        self._host, _, port = options.address.rpartition(":")
        self._port = int(port)
        self._tokenizer = Tokenizer.from_file(options.tokenizer)
        self._pieces = Pieces(self._tokenizer)
        # An answer must not end before all its tokens are there.
        self._bias = {str(token): NEVER for token in options.end_tokens}

    def run(self, plan: dict[str, Any]) -> dict[str, Any]:
        used = sorted({prompt for lane in plan["lanes"] for prompt, _ in lane["requests"]})
        texts = {i: self._tokenizer.decode(plan["prompts"][i], skip_special_tokens=False) for i in used}
        counts = {i: self._prepare(texts[i]) for i in used}
        answers: list[dict[str, Any]] = []
        before = time.process_time()
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._run_lane, args=(number, lane, began, texts, counts, answers))
            for number, lane in enumerate(plan["lanes"])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"answers": answers, "client_cpu_seconds": time.process_time() - before}

    def _prepare(self, text: str) -> int:
        """How many tokens the prompt has for the server, which afterwards keeps nothing of earlier requests."""
        connection = Connection(self._host, self._port)
        count = len(json.load(connection.post("/extras/tokenize", {"input": text}))["tokens"])
        # It takes over what a prompt has in common with the one before.
        connection.post("/v1/completions", {"prompt": "\n", "max_tokens": 1}).read()
        connection.close()
        return count

    def _run_lane(
        self,
        number: int,
        lane: dict[str, Any],
        began: float,
        texts: dict[int, str],
        counts: dict[int, int],
        answers: list[dict[str, Any]],
    ) -> None:
        connection = Connection(self._host, self._port)
        time.sleep(max(0.0, began + lane["start"] - time.monotonic()))
        due = lane["start"]
        for request, (prompt, tokens) in enumerate(lane["requests"]):
            answer = {"lane": number, "request": request, "due": due, "times": [], "tokens": [], "status": "OK"}
            answer |= {"prompt_tokens": counts[prompt], "cached_prompt_tokens": 0}
            try:
                self._complete(connection, texts[prompt], tokens, began, answer)
            except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
                answer["status"] = repr(error)
            answers.append(answer)
            if answer["status"] != "OK":
                break
            due = answer["times"][-1]
        connection.close()

    def _complete(self, connection: Connection, text: str, tokens: int, began: float, answer: dict[str, Any]) -> None:
        body = {"prompt": text, "max_tokens": tokens, "temperature": 0, "stream": True, "logit_bias": self._bias}
        reason = None
        for choice in messages(connection.post("/v1/completions", body)):
            now = time.monotonic() - began
            reason = choice["finish_reason"] or reason
            if choice["finish_reason"] is None:
                ids = self._pieces.tokens(choice["text"])
                answer["tokens"] += ids
                answer["times"] += [now] * len(ids)
        if reason != "length":
            answer["status"] = f"finish reason {reason}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="HOST:PORT of the server")
    parser.add_argument("--tokenizer", required=True, help="the model's tokenizer.json")
    parser.add_argument("--end-tokens", type=int, nargs="*", default=[], help="those that would end an answer")
    runner = Runner(parser.parse_args())
    for line in sys.stdin:
        print(json.dumps(runner.run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
