"""Files are read to the last bit, and what cannot be exported is named in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest
import torch
from safetensors.torch import save_file

from generator_export.errors import ExportError
from generator_export.folder import write_generator
from generator_export.gguf_file import GgufFile
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.options import FolderOptions
from tiny_models import (
    TinyVocabulary,
    dequantised,
    gguf_name,
    quantised,
    tiny_model,
    write_and_close,
    write_gguf,
    write_safetensors,
)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_tensors_of_a_gguf_file_are_what_llama_cpp_reads(tmp_path: Path, kind: str) -> None:
    model = tiny_model("qwen2")
    file = GgufFile(write_gguf(tmp_path / "a.gguf", model, kind))
    for name, tensor in model.tensors.items():
        expected = tensor.numpy() if tensor.ndim == 1 else dequantised(quantised(tensor.numpy(), kind), kind)
        numpy.testing.assert_array_equal(file.tensor(gguf_name(name)), expected)


def test_metadata_of_every_type_is_read(tmp_path: Path) -> None:
    values = {
        "UINT8": 255,
        "INT8": -128,
        "UINT16": 65535,
        "INT16": -32768,
        "UINT32": 4294967295,
        "INT32": -2147483648,
        "FLOAT32": 0.5,
        "BOOL": True,
        "STRING": "Größe",
        "UINT64": 18446744073709551615,
        "INT64": -9223372036854775808,
        "FLOAT64": 0.1,
    }
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "none")
    for kind, value in values.items():
        writer.add_key_value(kind, value, gguf.GGUFValueType[kind])
        writer.add_key_value(f"{kind}[]", [value, value], gguf.GGUFValueType.ARRAY, gguf.GGUFValueType[kind])
    writer.add_array("ARRAY", [[1, 2], ["a", "b"]])
    metadata = GgufFile(write_and_close(writer, tmp_path / "a.gguf")).metadata
    expected = values | {f"{kind}[]": [value, value] for kind, value in values.items()}
    # Whoever asks for an int or a list must not get what only looks like one.
    expected = {key: (type(value), value) for key, value in (expected | {"ARRAY": [[1, 2], ["a", "b"]]}).items()}
    assert {key: (type(metadata[key]), metadata[key]) for key in expected} == expected
    items = [item for key, value in metadata.items() if key.endswith("[]") for item in value]
    assert {type(item) for item in items} == {int, float, bool, str}


def test_a_file_that_ends_anywhere_is_truncated(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "a.gguf", tiny_model("llama")).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in [*range(0, 2000, 37), *range(2000, len(whole) - 96, len(whole) // 50), len(whole) - 96]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ExportError, match=r"empty|truncated|not a GGUF file"):
            read_gguf(cut)


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for content, message in [
        (b"PK\3\4" + bytes(100), "not a GGUF file; of a Hugging Face model the folder is wanted"),
        (b"tjgg" + bytes(100), "is from before GGUF"),
        (b"GGUF\1\0\0\0" + bytes(100), "GGUF version 1: "),
        (b"GGUF\0\0\0\3" + bytes(100), "is a big-endian file of GGUF version 3"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ExportError, match=message):
            read_gguf(path)


def test_other_tensor_types_are_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    raw = numpy.zeros((4, 40), numpy.uint8)
    writer.add_tensor("output.weight", raw, raw_dtype=gguf.GGMLQuantizationType.Q8_1)
    write_and_close(writer, tmp_path / "a.gguf")
    with pytest.raises(ExportError, match=r"output\.weight is of GGML type 9.*llama-quantize.*Q8_0.*Q6_K"):
        read_gguf(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"llama.rope.scaling.type": "spiral"}, "rope scaling spiral is not supported; these are: none, linear"),
        ({"llama.expert_count": 8}, "mixtures of experts"),
        ({"llama.rope.dimension_count": 8}, "rope.dimension_count"),
        ({"general.type": "adapter"}, "is an adapter and no model"),
    ],
)
def test_a_gguf_model_that_computes_something_else_is_refused(
    tmp_path: Path, metadata: dict[str, Any], message: str
) -> None:
    path = write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata=metadata)
    with pytest.raises(ExportError, match=message):
        read_gguf(path)


@pytest.mark.parametrize("type_name", ["longrope", "none"])
@pytest.mark.parametrize("others", [("long", "short"), ("long",)])
def test_factors_of_two_kinds_are_refused(tmp_path: Path, type_name: str, others: tuple[str, ...]) -> None:
    """Neither does llama.cpp load such a file."""
    factors = numpy.full(16, 2, numpy.float32)
    tensors = {"rope_freqs.weight": factors, **{f"rope_factors_{each}.weight": factors for each in others}}
    metadata: dict[str, str | int] = {
        "llama.rope.scaling.type": type_name,
        "llama.rope.scaling.original_context_length": 128,
    }
    path = write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata=metadata, further=tensors)
    with pytest.raises(ExportError, match=r"has both rope_freqs\.weight and factors of LongRoPE"):
        read_gguf(path)


def test_other_tokenizers_are_named(tmp_path: Path) -> None:
    for vocabulary, message in [
        (TinyVocabulary(pre="superbpe"), "pre-tokenizer superbpe .*smollm"),
        (TinyVocabulary(model="rwkv"), "tokenizer rwkv .*gpt2 and llama"),
    ]:
        with pytest.raises(ExportError, match=message):
            read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model("llama"), vocabulary=vocabulary))


def test_other_architectures_are_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "gemma3")
    write_and_close(writer, tmp_path / "a.gguf")
    with pytest.raises(ExportError, match=r"architecture gemma3 is not .*llama, qwen2, qwen3"):
        read_gguf(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma3"}, "model type gemma3 .*llama"),
        ({"rope_scaling": {"rope_type": "spiral", "factor": 4.0}}, "rope scaling spiral .*yarn"),
        ({"rope_scaling": {"rope_type": "linear"}}, "no rope_scaling's factor"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0.0}}, "rope_scaling's factor is 0"),
        ({"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0]}}, "short_factor is not a list of 16"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "layers turn differently"),
        ({"partial_rotary_factor": 0.5}, "only a part is turned"),
        ({"hidden_act": "gelu"}, "activation gelu"),
        (
            {"quantization_config": {"quant_method": "awq"}},
            "quantised by awq .*export the model that they were made of",
        ),
        ({"num_attention_heads": "six"}, "num_attention_heads is 'six'"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"hidden_size": None}, "no hidden_size"),
        ({"num_key_value_heads": 4}, "cannot share 4 key heads"),
        ({"intermediate_size": 128}, r"mlp.gate_proj.weight has shape \(160, 192\), not \(128, 192\)"),
        ({"num_hidden_layers": 4}, "no tensor for layers.3.attention_norm"),
        ({"num_hidden_layers": 2}, "do not know what to do with tensor model.layers.2"),
        ({"tie_word_embeddings": False}, "no tensor lm_head.weight"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama").with_config(**changes))
    with pytest.raises(ExportError, match=message):
        read_huggingface(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "no such file"),
        ("config.json", b"{", "config.json: Expecting"),
        ("config.json", b"[]", "not a JSON object"),
        ("tokenizer.json", None, "neither a tokenizer.json nor a tokenizer.model"),
        ("model-00001-of-00002.safetensors", None, "no tensor for"),
        ("model-00001-of-00002.safetensors", b"12345678{", "model-00001-of-00002.safetensors: .+"),
        ("generation_config.json", b"no", "Expecting value"),
    ],
)
def test_a_folder_with_a_missing_or_broken_file_is_refused(
    tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama"))
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ExportError, match=message):
        read_huggingface(folder)


def test_a_truncated_safetensors_file_is_refused(tmp_path: Path) -> None:
    file = write_safetensors(tmp_path, tiny_model("llama")) / "model-00002-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ExportError, match=r"model-00002-of-00002\.safetensors: "):
        read_huggingface(tmp_path)


@pytest.mark.parametrize("name", ["model.layers.1.self_attn.o_proj.bias", "score.weight"])
def test_tensors_that_would_be_left_out_are_named(tmp_path: Path, name: str) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama"))
    save_file({name: torch.zeros(4)}, folder / "more.safetensors")
    with pytest.raises(ExportError, match=f"do not know what to do with tensor {name}"):
        read_huggingface(folder)


def test_biases_of_some_layers_only_are_refused(tmp_path: Path) -> None:
    model = tiny_model("qwen2")
    del model.tensors["model.layers.1.self_attn.k_proj.bias"]
    with pytest.raises(ExportError, match=r"no tensor for layers\.1\.k_bias"):
        read_huggingface(write_safetensors(tmp_path, model))


def test_a_folder_that_is_no_model_says_what_to_do(tmp_path: Path) -> None:
    adapter, files, pickles = (tmp_path / name for name in ("adapter", "files", "pickles"))
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    files.mkdir()
    (files / "a.gguf").write_bytes(b"")
    write_safetensors(pickles, tiny_model("llama"))
    for file in pickles.glob("*.safetensors"):
        file.unlink()
    for folder, message in [
        (adapter, "adapter .*merge_and_unload"),
        (files, "no config.json, but GGUF files: export one of them, as .*a.gguf"),
        (pickles, "no .safetensors files and no pytorch_model.bin$"),
    ]:
        with pytest.raises(ExportError, match=message):
            read_huggingface(folder)
    (pickles / "consolidated.safetensors").write_bytes(b"")
    with pytest.raises(ExportError, match=r"consolidated\.safetensors is in another layout"):
        read_huggingface(pickles)


def test_a_model_ends_where_attention_would_see_a_window(tmp_path: Path) -> None:
    gguf_model = read_gguf(
        write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata={"llama.attention.sliding_window": 99})
    )
    folder = write_safetensors(tmp_path / "a", tiny_model("mistral", sliding_window=99))
    for source in (gguf_model, read_huggingface(folder)):
        context = source.checkpoint.architecture.context
        assert (context.length, context.reason) == (99, "attention is in a sliding window of 99")
        with pytest.raises(
            ExportError, match=r"positions end at 99, before --max-length 100 \(attention is in a sliding"
        ):
            write_generator(source, tmp_path / "out", FolderOptions(max_length=100))
        assert not (tmp_path / "out").exists()
    # What the class has where the file does not say it.
    config = json.loads((folder / "config.json").read_text())
    del config["sliding_window"]
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    assert read_huggingface(folder).checkpoint.architecture.context.length == 4096


class Anything:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("never",))


@pytest.mark.parametrize(
    ("content", "message"), [(Anything(), "as tensors alone"), ([1], "not a dictionary of tensors")]
)
def test_pickles_of_more_than_tensors_are_not_opened(
    tmp_path: Path, content: Any, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama"))
    for file in folder.glob("*.safetensors"):
        file.unlink()
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(ExportError, match=f"pytorch_model.bin: .*{message}"):
        read_huggingface(folder)
    assert capfd.readouterr().out == ""


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path / "a", tiny_model("llama"))
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"x": "model-00009-of-00009.safetensors"}}')
    with pytest.raises(ExportError, match=r"model-00009-of-00009\.safetensors: there is no such file"):
        read_huggingface(folder)
    whole = write_gguf(tmp_path / "tiny-00001-of-00002.gguf", tiny_model("llama"))
    with pytest.raises(ExportError, match=r"is one of 1 parts|tiny-00002-of-00002\.gguf: there is no such file"):
        read_gguf(whole)
    renamed = write_gguf(tmp_path / "b.gguf", tiny_model("llama"), metadata={"split.count": 3})
    with pytest.raises(ExportError, match="one of 3 parts, and its name does not say which"):
        read_gguf(renamed)


def test_a_tensor_twice_in_a_gguf_model_is_refused(tmp_path: Path) -> None:
    """As llama.cpp refuses it."""
    name = "blk.1.ffn_down.weight"
    for number, tensors in enumerate(([name, "output.weight"], [name])):
        writer = gguf.GGUFWriter(tmp_path / f"a-0000{number + 1}-of-00002.gguf", "llama")
        writer.add_uint16("split.count", 2)
        for tensor in tensors:
            writer.add_tensor(tensor, numpy.zeros((2, 2), numpy.float32))
        write_and_close(writer, tmp_path / f"a-0000{number + 1}-of-00002.gguf")
    with pytest.raises(ExportError, match=f"a-00002-of-00002.gguf: has tensor {name}, as an earlier part has"):
        GgufFile(tmp_path / "a-00001-of-00002.gguf")
    # Names of one length can take each other's place.
    path = write_gguf(tmp_path / "b.gguf", tiny_model("llama"))
    path.write_bytes(path.read_bytes().replace(b"blk.1.attn_k.weight", b"blk.1.attn_q.weight"))
    with pytest.raises(ExportError, match=r"b\.gguf: has tensor blk\.1\.attn_q\.weight twice"):
        GgufFile(path)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_of_a_tensor_twice_in_a_folder_the_one_counts_that_transformers_takes(tmp_path: Path, kind: str) -> None:
    from transformers import AutoModelForCausalLM

    tiny = tiny_model("llama", num_hidden_layers=1)
    folder = write_safetensors(tmp_path / "model", tiny)
    first, last = torch.zeros(192), torch.ones(192)
    stem = {"safetensors": "model", "bin": "pytorch_model"}[kind]
    names = [f"{stem}-0000{number}-of-00002.{kind}" for number in (1, 2)]
    for file in folder.glob("*.safetensors"):
        file.unlink()
    for name, tensors in zip(
        names, (tiny.tensors | {"model.norm.weight": first}, {"model.norm.weight": last}), strict=True
    ):
        save_file(tensors, folder / name) if kind == "safetensors" else torch.save(tensors, folder / name)
    with pytest.raises(ExportError, match=f"{names[1]}: has tensor model.norm.weight, as another has"):
        read_huggingface(folder)
    # Although it says the first.
    index = {"metadata": {}, "weight_map": dict.fromkeys(tiny.tensors, names[0]) | {"x": names[1]}}
    (folder / f"{stem}.{kind}.index.json").write_text(json.dumps(index))
    ours = read_huggingface(folder).checkpoint.tensor("norm")
    theirs = AutoModelForCausalLM.from_pretrained(folder).model.norm.weight
    assert torch.equal(ours, theirs)
    assert torch.equal(ours, last)


def test_a_model_with_its_head_and_without_are_two(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama"))
    save_file({"norm.weight": torch.ones(192)}, folder / "more.safetensors")
    with pytest.raises(ExportError, match=r"(norm\.weight and|and norm\.weight).* the same part of a model"):
        read_huggingface(folder)


def test_a_pointer_to_a_file_is_no_file(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama"))
    (folder / "model-00001-of-00002.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ExportError, match="pointer of Git LFS"):
        read_huggingface(folder)


ODD_VALUES: tuple[Any, ...] = (None, -1, 0, 1.5, "x", [], {}, ["x"], {"a": 1}, True, 10**30, [None], {"content": 5})


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = (
        list(value) if isinstance(value, dict) else list(range(min(len(value), 8))) if isinstance(value, list) else []
    )
    return [place for key in keys[:60] for place in ((value, key), *_places(value[key]))]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json", "generation_config.json"])
def test_odd_values_are_read_or_refused_in_words(tmp_path: Path, name: str) -> None:
    folder = write_safetensors(
        tmp_path, tiny_model("llama", num_hidden_layers=1, rope_scaling={"type": "yarn", "factor": 2})
    )
    (folder / "generation_config.json").write_text('{"eos_token_id": [2], "do_sample": true, "top_k": 3, "top_p": 0.5}')
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "added_tokens_decoder": {"1": {"content": "<s>"}},
        "bos_token": "<s>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = (folder / name).read_text()
    refused, count = [], len(_places(json.loads(text)))
    # Every value in every place of a small file, one in each of a large one.
    every = range(count * len(ODD_VALUES)) if count < 30 else range(0, count * len(ODD_VALUES), len(ODD_VALUES) + 1)
    for number in every:
        document = json.loads(text)
        holder, key = _places(document)[number // len(ODD_VALUES)]
        holder[key] = ODD_VALUES[number % len(ODD_VALUES)]
        (folder / name).write_text(json.dumps(document))
        try:
            read_huggingface(folder)
        except ExportError as error:
            refused.append(str(error))
    assert refused
    assert not [reason for reason in refused if "\n" in reason]
