"""A model of random weights for the tests of a file, and contexts of it that are closed after each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from machine import Machine

from adascale.models.llama.model import LlamaModel


@pytest.fixture(scope="module")
def model(random_gguf: Path) -> Iterator[LlamaModel]:
    with closing(LlamaModel(random_gguf)) as opened:
        yield opened


@pytest.fixture
def machine(model: LlamaModel) -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(model, stack)
