"""A sealed machine for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import listening

from .net import Net


@pytest.fixture(autouse=True)
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    with listening() as server:
        machine = Net(tmp_path, server, monkeypatch)
        machine.seal()
        yield machine
