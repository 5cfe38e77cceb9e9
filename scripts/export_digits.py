#!/usr/bin/env python3
"""Trains the demo model on real handwritten digits and exports it twice.

MODELS/digits/1/model.pt        TorchScript
MODELS/digits/2/model.pt2       AOTInductor package, batch 1 to 1024
MODELS/digits/model.toml        the signature
MODELS/digits/heldout/          images.npy, labels.npy, accuracy.json: what the training never saw

Does nothing when the files are there and this script has not changed since.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from model_folder import TensorSpec, fingerprint, is_current, model_toml, write_atomically, write_stamp, write_text

FILES = (
    "model.toml",
    "1/model.pt",
    "2/model.pt2",
    "heldout/images.npy",
    "heldout/labels.npy",
    "heldout/accuracy.json",
)
SEED = 20240229
EPOCHS = 30
MINIBATCH = 64
LEARNING_RATE = 4e-3
LARGEST_BATCH = 1024
CHECKED_BATCHES = (1, 2, 7, 64)
LEAST_ACCURACY = 0.97


def export(folder: Path) -> dict[str, Any]:
    """Trains and exports into `folder`; returns what accuracy.json holds."""
    with tempfile.TemporaryDirectory(prefix="predictd-inductor-") as compiler_cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = compiler_cache
        warnings.filterwarnings("ignore")
        logging.disable(logging.WARNING)
        return _export(folder)


def _export(folder: Path) -> dict[str, Any]:
    import numpy
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from torch import nn

    class DigitsNet(nn.Module):
        """Pixels as scikit-learn ships them (0 to 16) to the probability of each digit and the likeliest digit."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 24, kernel_size=3, padding=1)
            self.conv2 = nn.Conv2d(24, 48, kernel_size=3, padding=1)
            self.pool = nn.MaxPool2d(2)
            self.linear = nn.Linear(48 * 4 * 4, 10)

        def logits(self, image: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(self.conv1(image / 8.0 - 1.0))
            hidden = self.pool(torch.relu(self.conv2(hidden)))
            return self.linear(hidden.flatten(1))

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            probabilities = torch.softmax(self.logits(image), dim=1)
            return probabilities, probabilities.argmax(dim=1)

    # One thread: sums are then added in the same order on every machine.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    digits = load_digits()
    images = digits.images.astype(numpy.float32).reshape(-1, 1, 8, 8)
    labels = digits.target.astype(numpy.int64)
    train_images, heldout_images, train_labels, heldout_labels = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=SEED
    )

    model = DigitsNet()
    train_x, train_y = torch.from_numpy(train_images), torch.from_numpy(train_labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    batches_per_epoch = -(-len(train_x) // MINIBATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=EPOCHS * batches_per_epoch)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train_x)).split(MINIBATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model.logits(train_x[rows]), train_y[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()

    torchscript = folder / "1" / "model.pt"
    write_atomically(torchscript, lambda partial: torch.jit.script(model).save(str(partial)))

    # Without min=1 the exporter would assume that there are at least two rows.
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    package = folder / "2" / "model.pt2"
    with torch.inference_mode(False), torch.no_grad():
        program = torch.export.export(model, (train_x[:8].clone(),), dynamic_shapes={"image": {0: batch}})
        write_atomically(
            package,
            lambda partial: torch._inductor.aoti_compile_and_package(
                program,
                package_path=str(partial),
                inductor_configs={
                    # With threads of its own a package can end the server: a check that fails on one of them is caught
                    # by nobody. The server runs several batches at once instead.
                    "cpp.threads": 1,
                    "cpp.dynamic_threads": False,
                    # Compiling the headers once only pays when many programs are compiled.
                    "cpp_cache_precompile_headers": False,
                    "aot_inductor.precompile_headers": False,
                },
            ),
        )

    heldout_x, heldout_y = torch.from_numpy(heldout_images), torch.from_numpy(heldout_labels)
    accuracy: dict[str, Any] = {"samples": len(heldout_y), "versions": {}}
    with torch.inference_mode():
        eager_label = model(heldout_x)[1]
        runners = {
            "1": ("TorchScript", torch.jit.load(str(torchscript))),
            "2": ("AOTInductor", torch._inductor.aoti_load_package(str(package))),
        }
        for version, (form, run) in runners.items():
            for rows in CHECKED_BATCHES:
                for got, expected in zip(run(heldout_x[:rows]), model(heldout_x[:rows]), strict=True):
                    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
            label = run(heldout_x)[1]
            if not torch.equal(label, eager_label):
                raise RuntimeError(f"version {version} ({form}) answers differently from the model it was made from")
            correct = int((label == heldout_y).sum())
            accuracy["versions"][version] = {
                "format": form,
                "predictions": len(label),
                "correct": correct,
                "accuracy": correct / len(label),
            }
    least = min(entry["accuracy"] for entry in accuracy["versions"].values())
    if least < LEAST_ACCURACY:
        raise RuntimeError(f"held-out accuracy is {least:.4f}, expected at least {LEAST_ACCURACY}")

    def save_array(path: Path, array: numpy.ndarray) -> None:
        write_atomically(path, lambda partial: numpy.save(partial, numpy.ascontiguousarray(array)))

    save_array(folder / "heldout" / "images.npy", heldout_images)
    save_array(folder / "heldout" / "labels.npy", heldout_labels)
    write_text(folder / "heldout" / "accuracy.json", json.dumps(accuracy, indent=2) + "\n")
    write_text(
        folder / "model.toml",
        model_toml(
            "Handwritten digits, 8x8 pixels of 0 to 16. Version 1 is TorchScript, version 2 is AOTInductor.",
            inputs=[TensorSpec("image", "FP32", [-1, 1, 8, 8])],
            outputs=[TensorSpec("probabilities", "FP32", [-1, 10]), TensorSpec("label", "INT64", [-1])],
            version_policy="all",
        ),
    )
    return accuracy


def main() -> None:
    default_dir = Path(__file__).resolve().parent.parent / "models"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, default=default_dir, help="default: models/ beside scripts/")
    parser.add_argument("--force", action="store_true", help="train and export again even if nothing changed")
    arguments = parser.parse_args()

    folder = arguments.models_dir / "digits"
    current = fingerprint(Path(__file__))
    if not arguments.force and is_current(folder, current, FILES):
        print(f"digits: up to date in {folder}")
        return
    start = time.monotonic()
    accuracy = export(folder)
    write_stamp(folder, current)
    summary = ", ".join(
        f"version {version} ({entry['format']}) {entry['accuracy']:.4f}"
        for version, entry in accuracy["versions"].items()
    )
    print(f"digits: held-out accuracy on {accuracy['samples']} images: {summary}; {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
