"""Fixtures: a repository with all test models, and a server that the tests of correct and wrong answers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from generation import export_tiny_generator
from predictd_process import TEST_MODELS, PredictdProcess, make_repository
from protocol import Client


def all_test_models() -> list[str]:
    """The names of all test models, and of the demo's."""
    return [*sorted(folder.parent.name for folder in TEST_MODELS.glob("*/model.toml")), "digits"]


@pytest.fixture(scope="session", name="test_models")
def fixture_test_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with all test models and the demo's `digits`."""
    return make_repository(tmp_path_factory.mktemp("repository") / "models", all_test_models())


@pytest.fixture(scope="session", name="generators")
def fixture_generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the tiny generator and a tensor model."""
    repository = make_repository(tmp_path_factory.mktemp("generators") / "models", ["linear", "slow"])
    return export_tiny_generator(repository)


@pytest.fixture(scope="session", name="server")
def fixture_server(test_models: Path) -> Iterator[PredictdProcess]:
    """A server of all test models with two workers that logs every call. Tests leave nothing running in it."""
    with PredictdProcess(test_models, flags=["--workers=2", "--log-requests=all"]) as server:
        yield server


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    """A client of the shared server."""
    return server.client
