"""What the tests of the operators share: the library, loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from decoder_parts import LIBRARY


def pytest_configure() -> None:
    torch.ops.load_library(LIBRARY)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keeps steps short when a core is busy with something else. Tests that need more say so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
