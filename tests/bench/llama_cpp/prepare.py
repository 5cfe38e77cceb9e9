"""What `scripts/bench generation` needs of llama.cpp before it measures: a re-quantised model, and facts, as JSON.

Runs in an environment of its own (environment.py) and knows nothing of the other files here.
"""

import argparse
import ctypes
import json
import os
from pathlib import Path

import llama_cpp


def requantize(source: Path, target: Path, threads: int) -> None:
    """Writes `source` with 4 bits and a scale for 32 weights (Q4_0), by llama.cpp's own function and defaults."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    parameters.allow_requantize = True
    parameters.nthread = threads
    # Complete or not there at all.
    unfinished = target.with_suffix(f".{os.getpid()}")
    if llama_cpp.llama_model_quantize(bytes(source), bytes(unfinished), ctypes.byref(parameters)) != 0:
        unfinished.unlink(missing_ok=True)
        raise SystemExit(f"llama.cpp cannot quantise {source}")
    unfinished.rename(target)


def end_tokens(model: Path) -> list[int]:
    """Those that llama.cpp ends an answer at."""
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    loaded = llama_cpp.llama_model_load_from_file(bytes(model), parameters)
    if not loaded:
        raise SystemExit(f"llama.cpp cannot load {model}")
    vocabulary = llama_cpp.llama_model_get_vocab(loaded)
    count = llama_cpp.llama_vocab_n_tokens(vocabulary)
    found = [token for token in range(count) if llama_cpp.llama_vocab_is_eog(vocabulary, token)]
    llama_cpp.llama_model_free(loaded)
    return found


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _be_quiet(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a .gguf file")
    parser.add_argument("--requantized", type=Path, required=True, help="where it is to be with Q4_0")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    llama_cpp.llama_log_set(_be_quiet, ctypes.c_void_p(0))
    if not options.requantized.exists():
        requantize(options.model, options.requantized, options.threads)
    system_info = llama_cpp.llama_print_system_info().decode()
    print(json.dumps({"system_info": system_info, "end_tokens": end_tokens(options.model)}))


if __name__ == "__main__":
    main()
