"""predictctl generate and chat, and the example in Python, against a real server."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import numpy
import pytest

from generation import MAX_LENGTH, NAME, SLOTS, generation_request
from predictctl import INTERRUPTED, PREDICTCTL, failed_with, json_lines, json_of, predictctl
from predictd_process import PredictdProcess
from protocol import ROOT, Chat, ChatMessage

EXAMPLE = ROOT / "client/examples/chat.py"
GREEDY = ("--temperature=0", "--ignore-end", "--max-tokens=20")
ENDLESS = ("--ignore-end", "--max-tokens=1500")


@pytest.fixture(scope="module", name="server")
def fixture_server(generators: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(generators, flags=["--workers=2", "--log-requests=all"]) as server:
        yield server
        server.wait_for_metric("predictd_generator_slots_used", 0)


def answer_to(server: PredictdProcess, *contents: str) -> str:
    """What the model says at the end of a conversation in which user and assistant take turns."""
    roles = ("user", "assistant")
    messages = [ChatMessage(role=roles[i % 2], content=content) for i, content in enumerate(contents)]
    return server.client.predict(generation_request(chat=Chat(messages=messages))).answers[0].text


# --- models ---


def test_a_generator_is_listed_and_described(server: PredictdProcess) -> None:
    lines = predictctl(server, "models").stdout.splitlines()
    (tiny,) = (line for line in lines if line.startswith(NAME))
    assert tiny.split() == [NAME, "generator", "1", "ready", "prompt,", "chat", "text"]
    described = predictctl(server, "models", NAME).stdout
    assert "takes a prompt or a chat\n" in described
    assert f"at most {MAX_LENGTH} tokens" in described
    assert f"at most {SLOTS} answers" in described
    generator = json_of(predictctl(server, "--json", "models", NAME))["response"]["generator"]
    assert generator["slots"] == str(SLOTS)


# --- generate ---


def test_generate_prints_the_text_and_what_it_took(server: PredictdProcess) -> None:
    expected = server.client.predict(generation_request("Once upon a time")).answers[0].text
    result = predictctl(server, "generate", NAME, "Once upon a time", *GREEDY)
    assert result.returncode == 0, result.stderr
    assert result.stdout == expected + ("" if expected.endswith("\n") else "\n")
    assert "20 generated; first after " in result.stderr
    assert "finished: length" in result.stderr
    assert predictctl(server, "generate", NAME, *GREEDY, stdin=b"Once upon a time\n").stdout == result.stdout


def test_generate_takes_every_option(server: PredictdProcess) -> None:
    options = [
        *("--max-tokens=5", "--temperature=0.8", "--top-k=50", "--top-p=0.9", "--min-p=0.01", "--stop=never said"),
        *("--repetition-penalty=1.1", "--presence-penalty=0.5", "--frequency-penalty=-0.5", "--seed=7", "--ignore-end"),
        *("--logprobs=2", "--n=2", "--version=1", "--request-id=r1"),
    ]
    first, second = (predictctl(server, "--json", "generate", NAME, "Once", *options) for _ in range(2))
    start, *deltas, summary, end = json_lines(first)
    assert start["start"]["request_id"] == "r1"
    assert {delta["delta"].get("index", 0) for delta in deltas} == {0, 1}
    tokens = [token for delta in deltas for token in delta["delta"]["tokens"]]
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 2 for token in tokens)
    assert summary["summary"]["usage"]["generated_tokens"] == "10" == str(len(tokens))
    assert end["end"]["code"] == "OK"

    def texts(result: subprocess.CompletedProcess[str]) -> list[str]:
        came = [line["delta"] for line in json_lines(result) if "delta" in line]
        return ["".join(delta.get("text", "") for delta in came if delta.get("index", 0) == index) for index in (0, 1)]

    assert texts(first) == texts(second), "the seed makes answers repeatable"
    assert texts(first)[0] != texts(first)[1]


def test_generate_names_a_wrong_option(server: PredictdProcess) -> None:
    result = predictctl(server, "generate", NAME, "Once", "--top-p=2")
    assert (result.returncode, result.stdout) == (failed_with(grpc.StatusCode.INVALID_ARGUMENT), "")
    assert "generation.top_p" in result.stderr


@pytest.mark.parametrize("count", ["0", "17", "2000000000"])
def test_the_server_refuses_a_wrong_number_of_answers(server: PredictdProcess, count: str) -> None:
    result = predictctl(server, "generate", NAME, "Once", f"--n={count}")
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    assert f"generation.n: expected 1 to 16, got {count}" in result.stderr


def test_models_of_tensors_are_told_from_generators(server: PredictdProcess, tmp_path: Path) -> None:
    result = predictctl(server, "generate", "linear", "Once")
    assert result.returncode == failed_with(grpc.StatusCode.FAILED_PRECONDITION)
    assert "hint: it takes tensors: predictctl predict linear" in result.stderr
    # With the signature known beforehand, and without.
    numpy.save(tmp_path / "x.npy", numpy.zeros(1, dtype=numpy.float32))
    for command in ("predict", "stream"):
        for source in ("[1]", f"x=@{tmp_path}/x.npy"):
            result = predictctl(server, command, NAME, "--input", source)
            assert (result.returncode, result.stdout) == (failed_with(grpc.StatusCode.FAILED_PRECONDITION), "")
            assert f"hint: it is a generator: predictctl generate {NAME} PROMPT" in result.stderr


def test_generate_as_a_chat_has_a_system_message(server: PredictdProcess) -> None:
    result = predictctl(server, "generate", NAME, "Hi", "--chat", *GREEDY)
    assert result.stdout.rstrip("\n") == answer_to(server, "Hi").rstrip("\n")
    messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hi")]
    expected = server.client.predict(generation_request(chat=Chat(messages=messages))).answers[0].text
    result = predictctl(server, "generate", NAME, "Hi", "--system=Be brief.", *GREEDY)
    assert result.stdout.rstrip("\n") == expected.rstrip("\n")


def test_ctrl_c_ends_a_generation_and_frees_its_slot(server: PredictdProcess) -> None:
    command: list[str | Path] = [PREDICTCTL, f"--address={server.address}", "generate", NAME, "Once", *ENDLESS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert b"interrupted, the call was cancelled" in err
    server.wait_for_metric("predictd_generator_slots_used", 0, timeout=5)


# --- chat ---


def test_chat_keeps_the_conversation(server: PredictdProcess) -> None:
    result = predictctl(server, "chat", NAME, *GREEDY, stdin=b"Hello\nGo on\n/reset\nHello\n")
    assert result.returncode == 0, result.stderr
    first = answer_to(server, "Hello")
    second = answer_to(server, "Hello", first, "Go on")
    assert result.stdout == "".join(text + ("" if text.endswith("\n") else "\n") for text in (first, second, first))
    assert result.stderr.count("20 generated") == 3


class TerminalChat:
    """predictctl chat on a terminal of its own, as a person has it."""

    def __init__(self, server: PredictdProcess, *options: str) -> None:
        self._command = [str(PREDICTCTL), f"--address={server.address}", "chat", NAME, *options]
        self._seen = b""

    def __enter__(self) -> Self:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execv(self._command[0], self._command)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._terminal)
        if kind is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def type(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def wait_for(self, text: bytes, seconds: float = 30) -> bytes:
        """Reads on until the text has come; returns all up to and with it."""
        deadline = time.monotonic() + seconds
        while text not in self._seen:
            assert select.select([self._terminal], [], [], deadline - time.monotonic())[0], self._seen
            self._seen += os.read(self._terminal, 4096)
        before, _, self._seen = self._seen.partition(text)
        return before + text

    def exit_code(self) -> int:
        """Of a process that is ending."""
        try:
            while os.read(self._terminal, 4096):
                pass
        except OSError:
            pass  # How Linux tells the end of a terminal.
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_ctrl_c_stops_the_answer_and_not_the_chat(server: PredictdProcess) -> None:
    with TerminalChat(server, *ENDLESS) as chat:
        chat.wait_for(b"> ")
        chat.type(b"Hello\n")
        chat.wait_for(b"Hello\r\n")
        server.wait_for_metric("predictd_generator_slots_used", 1)
        chat.type(b"\x03")
        chat.wait_for(b"interrupted, the call was cancelled\r\n> ")
        server.wait_for_metric("predictd_generator_slots_used", 0, timeout=5)
        chat.type(b"/help\n")
        chat.wait_for(b"/reset")
        chat.wait_for(b"> ")
        chat.type(b"\x04")
        assert chat.exit_code() == 0


def test_ctrl_c_at_the_prompt_clears_the_line(server: PredictdProcess) -> None:
    with TerminalChat(server, *GREEDY) as chat:
        chat.wait_for(b"> ")
        chat.type(b"/unheard-of")
        chat.wait_for(b"/unheard-of")
        chat.type(b"\x03")
        chat.wait_for(b"^C\r\n> ")
        # What Ctrl-D has handed over already is cleared, too.
        chat.type(b"/unheard-of\x04")
        chat.wait_for(b"/unheard-of")
        chat.type(b"\x03")
        chat.wait_for(b"^C\r\n> ")
        chat.type(b"/help\n")
        assert b"no command" not in chat.wait_for(b"/reset")
        chat.wait_for(b"> ")
        chat.type(b"\x04")
        assert chat.exit_code() == 0


def test_sigterm_at_the_prompt_ends_the_chat(server: PredictdProcess) -> None:
    with TerminalChat(server) as chat:
        chat.wait_for(b"> ")
        os.kill(chat.pid, signal.SIGTERM)
        assert chat.exit_code() == INTERRUPTED


def tokens_of_a_word(server: PredictdProcess) -> int:
    """Of "word "."""
    few, many = (
        server.client.predict(generation_request("word " * count, max_tokens=1)).usage.prompt_tokens
        for count in (10, 20)
    )
    return -(-(many - few) // 10)


def test_a_chat_forgets_its_oldest_turns_at_the_limit_of_the_context(server: PredictdProcess) -> None:
    # Each question has a little less than a third of the context.
    words = MAX_LENGTH // 3 // tokens_of_a_word(server)
    first, second, third = (f"{name} " + "word " * (words - 10) for name in ("One", "Two", "Three"))
    result = predictctl(server, "chat", NAME, *GREEDY, stdin=f"{first}\n{second}\n{third}".encode())
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("forgot the oldest 1 question and its answer") == 1
    after_first = answer_to(server, first)
    after_second = answer_to(server, first, after_first, second)
    after_third = answer_to(server, second, after_second, third)
    answers = (after_first, after_second, after_third)
    assert result.stdout == "".join(text + ("" if text.endswith("\n") else "\n") for text in answers)

    # The same where the answer is what has no room.
    result = predictctl(
        server, "chat", NAME, *GREEDY[:2], f"--max-tokens={MAX_LENGTH // 2}", stdin=f"{first}\n{second}".encode()
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("forgot the oldest 1 question and its answer") == 1


def test_a_question_that_is_too_long_by_itself_is_an_error(server: PredictdProcess) -> None:
    result = predictctl(server, "chat", NAME, *GREEDY, stdin=f"Hello\n{'word ' * MAX_LENGTH}".encode())
    assert result.returncode == failed_with(grpc.StatusCode.INVALID_ARGUMENT)
    assert "forgot" not in result.stderr
    assert "generation.prompt: expected 1 to" in result.stderr


# --- A server that does not answer ---


def test_a_server_that_is_stopped_does_not_hang_a_generation(generators: Path) -> None:
    with PredictdProcess(generators) as server:
        command: list[str | Path] = [PREDICTCTL, f"--address={server.address}", "--keepalive-time=10s"]
        command += ["generate", NAME, "Once", *ENDLESS]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.read(1)
        server.send_signal(signal.SIGSTOP)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            server.send_signal(signal.SIGCONT)
        assert process.returncode == failed_with(grpc.StatusCode.UNAVAILABLE)
        assert b"hint: the server at" in err
        assert b"has stopped answering" in err


# --- The example ---


def test_the_example_in_python_streams_an_answer(server: PredictdProcess) -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 25
    command: list[str | Path] = [sys.executable, EXAMPLE, server.address, NAME, "Hello"]
    result = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    chat = Chat(messages=[ChatMessage(role="user", content="Hello")])
    (answer,) = server.client.predict(generation_request(chat=chat, max_tokens=200, ignore_end=False)).answers
    assert result.stdout.decode() == answer.text + "\n"
