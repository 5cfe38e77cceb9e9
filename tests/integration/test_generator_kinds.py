"""What the exporter makes of a table of tiny models is served with the tokens, texts and ends that transformers has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch

from generation import STOP, generation_request, ids
from predictd_process import BINARY, PredictdProcess
from protocol import ROOT

sys.path.append(str(ROOT / "scripts"))
# transformers need not ask anybody for what is here.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from generator_export.errors import ExportError
from generator_export.folder import write_generator
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.options import FolderOptions
from generator_kinds import KINDS
from generator_makers import ADDED, END, FIRST_MARK, MARKS, Kind

TEXT = "the an theatre, there's Größe"
SLOTS, TOKENS = 2, 6
# Of logits with a standard deviation of more than one, from half precision.
ROUNDING = 0.03


class Exported:
    """The source of a kind, what transformers makes of it, and what the exporter said."""

    def __init__(self, kind: Kind, path: Path, repository: Path, name: str) -> None:
        self.kind = kind
        source = kind.make(path / name)
        self.reference = kind.same_as(path / f"{name}-reference") if kind.same_as else source
        options = FolderOptions(slots=SLOTS, cache="f32", **kind.options)
        read = read_huggingface if source.is_dir() else read_gguf
        written = write_generator(read(source, options.max_length), repository / name, options, BINARY)
        self.notes = [*written.notes, written.misfit or ""]

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.reference)

    def encode(self, text: str) -> list[int]:
        return self.kind.encode(text) if self.kind.encode else self.tokenizer(text)["input_ids"]

    @torch.inference_mode()
    def check_tokens(self, prompt: list[int], answer: list[int]) -> None:
        """Each token of the answer is the likeliest there, or as likely but for rounding."""
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        model = AutoModelForCausalLM.from_pretrained(self.reference, dtype=torch.float32)
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        assert logits.std() > 0.5
        chosen = logits.gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert (logits.amax(1) - chosen).max() < ROUNDING


@pytest.fixture(scope="module", name="repository")
def fixture_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds") / "models"


class AllExported:
    """All kinds, each of which may have failed: then that is what who asks for it gets."""

    def __init__(self, repository: Path) -> None:
        self._made: dict[str, Exported | ExportError] = {}
        for name, kind in KINDS.items():
            try:
                self._made[name] = Exported(kind, repository.with_name("sources"), repository, name)
            except ExportError as error:
                self._made[name] = error

    def __getitem__(self, name: str) -> Exported:
        found = self._made[name]
        if isinstance(found, ExportError):
            raise found
        return found


@pytest.fixture(scope="module", name="exported")
def fixture_exported(repository: Path) -> AllExported:
    return AllExported(repository)


@pytest.fixture(scope="module", name="server")
def fixture_server(exported: AllExported, repository: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(repository, flags=["--workers=2"]) as server:
        yield server


def ask(server: PredictdProcess, name: str, text: str | None = TEXT, **fields: Any) -> Any:
    request = generation_request(text, model=name, **{"max_tokens": TOKENS, **fields})
    return server.client.predict(request)


@pytest.mark.parametrize("name", KINDS)
def test_a_text_is_continued_as_transformers_does(server: PredictdProcess, exported: AllExported, name: str) -> None:
    model = exported[name]
    prompt = model.encode(TEXT)
    answer = ask(server, name)
    assert answer.usage.prompt_tokens == len(prompt)
    tokens = ids(answer.answers[0].tokens)
    assert len(tokens) == TOKENS
    model.check_tokens(prompt, tokens)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_left_out_is_said(exported: AllExported, name: str) -> None:
    said = [note for note in exported[name].notes if note]
    assert len(said) >= len(exported[name].kind.notes)
    for note in exported[name].kind.notes:
        assert any(note in each for each in said), said
    if not exported[name].kind.notes:
        assert not said


@pytest.mark.parametrize("name", KINDS)
def test_an_answer_ends_where_the_model_ends_it(server: PredictdProcess, exported: AllExported, name: str) -> None:
    texts = ADDED if "sentencepiece" in name else {mark: FIRST_MARK + i for i, mark in enumerate(MARKS)}
    ends = {END, *(texts[end] if isinstance(end, str) else end for end in exported[name].kind.ends)}
    for token in {END, 7, 9, 11, *texts.values()}:
        answer = ask(server, name, ignore_end=False, logit_bias={token: 100}, max_tokens=2).answers[0]
        assert (answer.finish_reason == STOP) == (token in ends), token


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.chats])
def test_a_chat_is_put_into_the_same_words(server: PredictdProcess, exported: AllExported, name: str) -> None:
    messages = [{"role": "user", "content": "the an"}, {"role": "assistant", "content": "theatre\n"}]
    rendered = exported[name].tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    prompt = exported[name].tokenizer(rendered, add_special_tokens=False)["input_ids"]
    answer = ask(server, name, text=None, chat={"messages": messages})
    assert answer.usage.prompt_tokens == len(prompt)
    exported[name].check_tokens(prompt, ids(answer.answers[0].tokens))


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.greedy])
def test_tokens_are_chosen_as_the_authors_want(server: PredictdProcess, exported: AllExported, name: str) -> None:
    model = exported[name]
    request = generation_request(TEXT, model=name, max_tokens=TOKENS)
    request.generation.ClearField("temperature")
    model.check_tokens(model.encode(TEXT), ids(server.client.predict(request).answers[0].tokens))
