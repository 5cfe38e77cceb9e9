"""Writes a language model of about a billion random weights as GGUF, quantised as SmolLM2's file is.

It is built like Llama 3.2 1B, with SmolLM2's tokenizer: Q4_1, its embedding and its head Q8_0. What it says makes no
sense, but computing it takes what any such model takes, and the same file is for everyone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GROUP = 32
SEED = 1
# Standard deviation of the logits: as sure of its next token as models are.
LOGITS = 2.5


@dataclass(frozen=True)
class Shape:
    layers: int = 16
    width: int = 2048
    heads: int = 32
    key_heads: int = 8
    inner: int = 8192
    context: int = 4096

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Weights:
    """Random matrices in GGUF's blocks of 32 weights. Those of a row add up to numbers of about the input's size."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def q4_1(self, rows: int, columns: int) -> np.ndarray:
        """Scale and minimum in half precision, then 4 bits for each weight: the scale times them, plus the minimum."""
        groups = rows * columns // GROUP
        blocks = np.empty((groups, 4 + GROUP // 2), np.uint8)
        # A uniform number of 0 to 15 has a standard deviation of 4.61.
        scales = (self._random.uniform(0.75, 1.25, groups) / (4.61 * columns**0.5)).astype(np.float16)
        blocks[:, 0:2] = scales.view(np.uint8).reshape(-1, 2)
        blocks[:, 2:4] = (-7.5 * scales.astype(np.float32)).astype(np.float16).view(np.uint8).reshape(-1, 2)
        blocks[:, 4:] = self._random.integers(0, 256, (groups, GROUP // 2), np.uint8)
        return blocks.reshape(rows, -1)

    def q8_0(self, rows: int, columns: int, deviation: float) -> np.ndarray:
        """A scale in half precision, then 8 bits for each weight."""
        groups = rows * columns // GROUP
        blocks = np.empty((groups, 2 + GROUP), np.uint8)
        # A uniform number of -127 to 127 has a standard deviation of 73.3.
        scales = (self._random.uniform(0.75, 1.25, groups) * deviation / 73.3).astype(np.float16)
        blocks[:, 0:2] = scales.view(np.uint8).reshape(-1, 2)
        blocks[:, 2:] = self._random.integers(-127, 128, (groups, GROUP), np.int8).view(np.uint8)
        return blocks.reshape(rows, -1)


def write_random_model(target: Path, tokenizer_of: Path, shape: Shape = Shape()) -> None:
    """The text side is that of another GGUF file."""
    import gguf  # Here because nothing else of `scripts/bench` needs it.

    source = gguf.GGUFReader(str(tokenizer_of))
    # Complete or not there at all.
    unfinished = target.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(str(unfinished), "llama")
    writer.add_name(f"random weights, {shape.layers} layers of {shape.width}")
    for key, field in source.fields.items():
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template":
            kind, *element = field.types
            writer.add_key_value(key, field.contents(), kind, element[0] if element else None)
    vocabulary = len(source.fields["tokenizer.ggml.tokens"].data)
    writer.add_vocab_size(vocabulary)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_heads)
    writer.add_rope_freq_base(500_000.0)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    for name, array, form in tensors(shape, vocabulary):
        writer.add_tensor(name, array, raw_dtype=gguf.GGMLQuantizationType[form])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(target)


def tensors(shape: Shape, vocabulary: int) -> Iterator[tuple[str, np.ndarray, str]]:
    """Name, bytes and format of each."""
    weights = Weights(SEED)
    ones = np.ones(shape.width, np.float32)
    yield "token_embd.weight", weights.q8_0(vocabulary, shape.width, 1.0), "Q8_0"
    for layer in range(shape.layers):
        keys = shape.key_heads * shape.head_width
        matrices = {
            "attn_q": (shape.width, shape.width), "attn_k": (keys, shape.width), "attn_v": (keys, shape.width),
            "attn_output": (shape.width, shape.width), "ffn_gate": (shape.inner, shape.width),
            "ffn_up": (shape.inner, shape.width), "ffn_down": (shape.width, shape.inner),
        }  # fmt: skip
        for name, (rows, columns) in matrices.items():
            yield f"blk.{layer}.{name}.weight", weights.q4_1(rows, columns), "Q4_1"
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", ones, "F32"
    yield "output_norm.weight", ones, "F32"
    yield "output.weight", weights.q8_0(vocabulary, shape.width, LOGITS / shape.width**0.5), "Q8_0"
