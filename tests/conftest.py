"""Fixtures that several folders use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def random_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny transformer with random float weights."""
    import tiny

    return tiny.write_random(tmp_path_factory.mktemp("random") / "random.gguf")


@pytest.fixture(scope="session")
def chain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that solves every problem with a few known sentences."""
    import tiny

    return tiny.write_chain(tmp_path_factory.mktemp("chain") / "chain.gguf")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` rewrites the stored traces."""
    parser.addoption("--update-golden", action="store_true", help="accept the traces as they are now")
