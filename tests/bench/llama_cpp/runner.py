"""llama.cpp as the opponent of `scripts/bench generation`: carries out plans with its batch interface, in one process.

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
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = options.slots * options.max_length
        parameters.n_seq_max = options.slots
        parameters.n_threads = parameters.n_threads_batch = options.threads
        # One buffer for all sequences' keys and values: faster here than one for each.
        parameters.kv_unified = True
        self._batch_tokens = parameters.n_batch
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(self._batch_tokens, 0, 1)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._slots = options.slots

    def run(self, plan: dict[str, Any]) -> dict[str, Any]:
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
                token = self._likeliest(place)
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
        # There is no client.
        return {"answers": answers, "client_cpu_seconds": 0.0}

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
        if llama_cpp.llama_decode(self._context, batch) != 0:
            raise SystemExit("llama_decode failed")
        return chosen

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
        logits = llama_cpp.llama_get_logits_ith(self._context, place)
        return int(np.ctypeslib.as_array(logits, shape=(self._vocabulary,)).argmax())


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _be_quiet(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    if level == 4:  # GGML_LOG_LEVEL_ERROR
        print(text.decode(errors="replace"), end="", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a .gguf file")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=1024, help="of each sequence")
    runner = Runner(parser.parse_args())
    for line in sys.stdin:
        print(json.dumps(runner.run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
