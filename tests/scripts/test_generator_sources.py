"""Files are read to the last bit, and what cannot be exported is named in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest
import torch
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile
from generator_export.gguf_source import read_gguf
from generator_export.safetensors_source import read_huggingface
from safetensors.torch import save_file
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
    writer.add_array("ARRAY", [[1, 2], ["a", "b"]])
    metadata = GgufFile(write_and_close(writer, tmp_path / "a.gguf")).metadata
    assert {key: metadata[key] for key in values} == values
    assert metadata["ARRAY"] == [[1, 2], ["a", "b"]]


def test_a_file_that_ends_anywhere_is_truncated(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "a.gguf", tiny_model("llama")).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in [*range(0, 2000, 37), *range(2000, len(whole) - 96, len(whole) // 50), len(whole) - 96]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ExportError, match="empty|truncated|not a GGUF file"):
            read_gguf(cut)


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for content, message in [(b"PK\3\4" + bytes(100), "not a GGUF file"), (b"GGUF\1\0\0\0" + bytes(100), "version 1")]:
        path.write_bytes(content)
        with pytest.raises(ExportError, match=message):
            read_gguf(path)


def test_other_tensor_types_are_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    raw = numpy.zeros((4, 84), numpy.uint8)
    writer.add_tensor("output.weight", raw, raw_dtype=gguf.GGMLQuantizationType.Q2_K)
    write_and_close(writer, tmp_path / "a.gguf")
    with pytest.raises(ExportError, match="output.weight is of GGML type 10.*Q8_0.*Q6_K"):
        read_gguf(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "rope scaling yarn"),
        ({"llama.expert_count": 8}, "mixtures of experts"),
        ({"llama.rope.dimension_count": 8}, "rope.dimension_count"),
        ({"tokenizer.ggml.eot_token_id": 100000}, "eot is token 100000"),
    ],
)
def test_a_gguf_model_that_computes_something_else_is_refused(
    tmp_path: Path, metadata: dict[str, Any], message: str
) -> None:
    path = write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata=metadata)
    with pytest.raises(ExportError, match=message):
        read_gguf(path)


def test_other_tokenizers_are_named(tmp_path: Path) -> None:
    for vocabulary, message in [
        (TinyVocabulary(pre="tekken"), "pre-tokenizer tekken .*smollm"),
        (TinyVocabulary(model="rwkv"), "tokenizer rwkv .*gpt2 and llama"),
    ]:
        with pytest.raises(ExportError, match=message):
            read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model("llama"), vocabulary=vocabulary))


def test_other_architectures_are_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "gemma3")
    write_and_close(writer, tmp_path / "a.gguf")
    with pytest.raises(ExportError, match="architecture gemma3 .*llama, qwen2, qwen3"):
        read_gguf(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma3"}, "model type gemma3 .*llama"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope scaling yarn"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 4.0}}, "rope scaling linear"),
        ({"hidden_act": "gelu"}, "activation gelu"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised"),
        ({"model_type": "mistral", "sliding_window": 128}, "sliding window"),
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
        ("tokenizer_config.json", None, "no such file"),
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
    with pytest.raises(ExportError, match="model-00002-of-00002.safetensors: "):
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
    with pytest.raises(ExportError, match="no tensor for layers.1.k_bias"):
        read_huggingface(write_safetensors(tmp_path, model))


def test_end_tokens_come_from_where_generation_is_configured(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama"))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 5, 7]}))
    assert read_huggingface(folder).text.end_token_ids == [5, 7]
