"""The acts of the demo that show a language model: a chat, two answers at once, and a caller who hangs up."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any

from demo_stage import PREDICTCTL, DemoError, Result, Server, Stage, events, wait_until

MODEL = "smollm2"
TOKENS = 48
# The answers are the model's likeliest ones, so that each run shows the same.
GREEDY = ("--temperature", "0", "--max-tokens", str(TOKENS))
HANG_UP_AFTER = 10


@dataclass
class Answer:
    """What came of one stream."""

    text: str = ""
    tokens: int = 0

    def take(self, event: dict[str, Any]) -> None:
        delta = event.get("delta", {})
        self.text += delta.get("text", "")
        self.tokens += len(delta.get("tokens", []))


class GenerationActs:
    """Run on the demo's server, whose repository has the model."""

    def __init__(self, stage: Stage, server: Server) -> None:
        self.stage = stage
        self.server = server

    def chat(self) -> None:
        stage = self.stage
        stage.act(
            "A chat", "SmolLM2, a language model of 135 million weights. The second question needs the first answer."
        )
        # Asked in fewer words, this model begins nearly as often in French, and rounding decides.
        questions = ["What is the name of the capital of France?", "And of Italy?"]
        result = self._chat(questions)
        stage.output(result.stdout)
        stage.output(result.stderr)
        stage.claim("Paris" in result.stdout and "Rome" in result.stdout, "it knows Paris, and from the context, Rome")
        reused = self.server.metric("generator_reused_prompt_tokens_total")
        stage.claim(reused > 0, f"{reused:.0f} tokens of the second prompt had been computed with the first")
        stage.summarize("chat", f"Paris and Rome; {reused:.0f} prompt tokens taken over from the first turn")

    def together(self) -> None:
        stage, server = self.stage, self.server
        stage.act("Two answers at once", "Both get their next token from the same step of the model.")
        steps, tokens = (server.metric(f"generator_step_sequences_{part}") for part in ("count", "sum"))
        prompts = ["Tell me a story of the sea.", "How does a bicycle work?"]
        children = [stage.start(*self._generate(prompt), comment="at the same time") for prompt in prompts]
        answers = [Answer() for _ in prompts]
        for child, answer in zip(children, answers, strict=True):
            for event in events(child):
                answer.take(event)
        for child, answer in zip(children, answers, strict=True):
            self._succeeded(stage.finish(child))
            stage.output(f"“{answer.text.strip()}”")
        steps = server.metric("generator_step_sequences_count") - steps
        tokens = server.metric("generator_step_sequences_sum") - tokens
        complete = all(answer.tokens > TOKENS // 2 for answer in answers)
        stage.claim(
            complete, f"{' and '.join(str(answer.tokens) for answer in answers)} tokens, as they were generated"
        )
        stage.claim(tokens > 1.2 * steps, f"{tokens:.0f} of them took {steps:.0f} steps: {tokens / steps:.2f} a step")
        stage.summarize("two answers at once", f"{tokens / steps:.2f} tokens a step")

    def hang_up(self) -> None:
        stage, server = self.stage, self.server
        stage.act("A caller who hangs up", f"Ctrl-C after {HANG_UP_AFTER} tokens of an answer that may have 1,500.")
        before = server.metric("generator_tokens_total")
        child = stage.start(
            *self._generate("Write a very long story.", "--ignore-end", "--max-tokens", "1500"), comment="Ctrl-C"
        )
        answer = Answer()
        for event in events(child):
            answer.take(event)
            if answer.tokens >= HANG_UP_AFTER:
                break
        interrupted = time.monotonic()
        child.send_signal(signal.SIGINT)
        result = stage.finish(child)
        wait_until(lambda: server.metric("generator_slots_used") == 0, "the slot was free")
        free_ms = (time.monotonic() - interrupted) * 1000
        computed = server.metric("generator_tokens_total") - before
        time.sleep(0.3)
        later = server.metric("generator_tokens_total") - before
        stage.output(result.stderr)
        stage.claim(result.code == 130, f"exit code {result.code}")
        stage.claim(
            computed == later < 1500,
            f"its slot was free {free_ms:.0f} ms after Ctrl-C; {computed:.0f} tokens were computed, and none since",
        )
        stage.summarize(
            "caller who hung up", f"{computed:.0f} of 1,500 tokens computed, slot free after {free_ms:.0f} ms"
        )

    def _generate(self, prompt: str, *options: str) -> list[str]:
        return [PREDICTCTL, "--json", "generate", MODEL, prompt, "--chat", *(options or GREEDY)]

    def _chat(self, questions: list[str]) -> Result:
        argv = [PREDICTCTL, "chat", MODEL, *GREEDY]
        return self._succeeded(self.stage.finish(self.stage.start(*argv, stdin="\n".join(questions) + "\n")))

    def _succeeded(self, result: Result) -> Result:
        if result.code != 0:
            raise DemoError(f"exit code {result.code}: {result.stderr.strip()}")
        return result
