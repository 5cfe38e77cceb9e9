"""llama.cpp as the opponent of `scripts/bench generation`: carries out plans with its batch interface, in one process.

A line may also ask for the logits of texts: {"score": [[1, 2, ...], ...], "file": PATH}, see raw_generator.cc.

Runs in an environment of its own (environment.py) and knows nothing of the other files here. Lines in and out are those
of bench_generation_load.

It schedules as llama.cpp's own server does: a step has the next token of each running sequence and as much of the
waiting prompts as fits into a batch.
"""

import argparse
import ctypes
import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import llama_cpp
import numpy as np

# Sequences at once, and how long one may be, unless a plan needs more.
SLOTS = 16
LENGTH = 1024


@dataclass
class Sequence:
    """A request that is being answered."""

    lane: int
    request: int
    due: float
    prompt: list[int]
    wanted: int
    # llama.cpp's number for it.
    slot: int = -1
    computed: int = 0
    tokens: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        names = ("lane", "request", "due", "times", "tokens")
        counts = {"prompt_tokens": len(self.prompt), "cached_prompt_tokens": 0}
        return {**{name: getattr(self, name) for name in names}, **counts, "status": "OK"}


class Runner:
    def __init__(self, options: argparse.Namespace) -> None:
        llama_cpp.llama_log_set(_be_quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            options.model.encode(), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise SystemExit(f"llama.cpp cannot load {options.model}")
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._threads = options.threads
        self._context: Any = None
        self._memory: Any = None
        self._slots = 0
        # Slots and length.
        self._made_for = (0, 0)
        self._batch_tokens = llama_cpp.llama_context_default_params().n_batch
        self._batch = llama_cpp.llama_batch_init(self._batch_tokens, 0, 1)
        self._make_context(SLOTS, LENGTH)

    def _make_context(self, slots: int, length: int) -> None:
        """For so many sequences of that many tokens; keeps the one that there is if that is what it is for."""
        if self._made_for == (slots, length):
            return
        if self._context is not None:
            llama_cpp.llama_free(self._context)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = slots * length
        parameters.n_seq_max = slots
        parameters.n_threads = parameters.n_threads_batch = self._threads
        # One buffer for all sequences' keys and values: faster here than one for each, as long as they are short. Each
        # sequence looks at all of it.
        parameters.kv_unified = length <= LENGTH
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise SystemExit(f"llama.cpp has no memory for {slots} sequences of {length} tokens")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._slots, self._made_for = slots, (slots, length)

    def run(self, plan: dict[str, Any]) -> dict[str, Any]:
        prompts = plan["prompts"]
        longest = max(len(prompts[prompt]) + tokens for lane in plan["lanes"] for prompt, tokens in lane["requests"])
        if longest <= LENGTH:
            self._make_context(SLOTS, LENGTH)
        else:
            self._make_context(min(SLOTS, len(plan["lanes"])), -(-longest // LENGTH) * LENGTH)
        sampler = temperature_sampler(plan["temperature"]) if plan["temperature"] > 0 else None
        began = time.monotonic()
        coming = deque(sorted((lane["start"], number) for number, lane in enumerate(plan["lanes"])))
        waiting: deque[Sequence] = deque()
        running: list[Sequence] = []
        free = list(range(self._slots))
        answers = []

        def request(lane: int, number: int, due: float) -> None:
            prompt, tokens = plan["lanes"][lane]["requests"][number]
            waiting.append(Sequence(lane, number, due, plan["prompts"][prompt], tokens))

        while coming or waiting or running:
            while coming and coming[0][0] <= time.monotonic() - began:
                start, lane = coming.popleft()
                request(lane, 0, start)
            while waiting and free:
                running.append(waiting.popleft())
                running[-1].slot = free.pop()
            if not running:
                time.sleep(max(0.0, coming[0][0] - (time.monotonic() - began)))
                continue
            for sequence, place in self._step(running):
                token = (
                    self._likeliest(place)
                    if sampler is None
                    else llama_cpp.llama_sampler_sample(sampler, self._context, place)
                )
                sequence.tokens.append(token)
                sequence.times.append(time.monotonic() - began)
                if len(sequence.tokens) < sequence.wanted:
                    continue
                llama_cpp.llama_memory_seq_rm(self._memory, sequence.slot, -1, -1)
                running.remove(sequence)
                free.append(sequence.slot)
                answers.append(sequence.report())
                if sequence.request + 1 < len(plan["lanes"][sequence.lane]["requests"]):
                    request(sequence.lane, sequence.request + 1, sequence.times[-1])
        if sampler is not None:
            llama_cpp.llama_sampler_free(sampler)
        # There is no client.
        return {"answers": answers, "client_cpu_seconds": 0.0}

    def score(self, texts: list[list[int]], file: str) -> dict[str, Any]:
        """Writes what follows each token of the texts, which are equally long, as logits: by token, then by text."""
        self._make_context(SLOTS, LENGTH)
        readers = [Sequence(lane, 0, 0.0, text, 1, slot=lane) for lane, text in enumerate(texts)]
        with open(file, "wb") as output:  # noqa: PTH123
            for tokens in zip(*texts, strict=True):
                self._batch.n_tokens = 0
                places = [self._add(reader, token, True) for reader, token in zip(readers, tokens, strict=True)]
                self._decode()
                output.writelines(self._logits(place).tobytes() for place in places)
        for reader in readers:
            llama_cpp.llama_memory_seq_rm(self._memory, reader.slot, -1, -1)
        return {"vocabulary": self._vocabulary}

    def _step(self, running: list[Sequence]) -> list[tuple[Sequence, int]]:
        """Computes one batch; returns who gets a token, and where in the batch its logits are."""
        batch = self._batch
        batch.n_tokens = 0
        chosen = [(sequence, self._add(sequence, sequence.tokens[-1], True)) for sequence in running if sequence.tokens]
        for sequence in running:
            if sequence.tokens:
                continue
            left = sequence.prompt[sequence.computed :]
            for token in left[: self._batch_tokens - batch.n_tokens]:
                last = sequence.computed + 1 == len(sequence.prompt)
                place = self._add(sequence, token, last)
                if last:
                    chosen.append((sequence, place))
        self._decode()
        return chosen

    def _decode(self) -> None:
        if llama_cpp.llama_decode(self._context, self._batch) != 0:
            raise SystemExit("llama_decode failed")

    def _add(self, sequence: Sequence, token: int, wants_logits: bool) -> int:
        batch, i = self._batch, self._batch.n_tokens
        batch.token[i] = token
        batch.pos[i] = sequence.computed
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = sequence.slot
        batch.logits[i] = wants_logits
        batch.n_tokens += 1
        sequence.computed += 1
        return i

    def _likeliest(self, place: int) -> int:
        return int(self._logits(place).argmax())

    def _logits(self, place: int) -> np.ndarray:
        logits = llama_cpp.llama_get_logits_ith(self._context, place)
        return np.ctypeslib.as_array(logits, shape=(self._vocabulary,))


def temperature_sampler(temperature: float) -> Any:
    """llama.cpp's own, of all tokens."""
    sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    llama_cpp.llama_sampler_chain_add(sampler, llama_cpp.llama_sampler_init_temp(temperature))
    llama_cpp.llama_sampler_chain_add(sampler, llama_cpp.llama_sampler_init_dist(1))
    return sampler


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _be_quiet(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    if level == 4:  # GGML_LOG_LEVEL_ERROR
        print(text.decode(errors="replace"), end="", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a .gguf file")
    parser.add_argument("--threads", type=int, required=True)
    runner = Runner(parser.parse_args())
    for line in sys.stdin:
        asked = json.loads(line)
        found = runner.score(asked["score"], asked["file"]) if "score" in asked else runner.run(asked)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
