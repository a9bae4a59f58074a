"""A server on a scripted generator, and OpenAI's official client of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from scripted_server import Served, served

if TYPE_CHECKING:
    import openai


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server for all tests of a file."""
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[openai.OpenAI]:
    """OpenAI's client of ``server``, which asks once."""
    import openai

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened
