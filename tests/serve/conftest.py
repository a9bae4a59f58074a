"""A server on a scripted generator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted_server import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server for all tests of a file."""
    with served() as running:
        yield running
