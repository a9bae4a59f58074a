from collections.abc import Iterator

import pytest
from loopback import Server, serving

from adascale.engine import bands


@pytest.fixture(autouse=True)
def every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind has every word: what was counted of a model decides no test of a screen."""
    monkeypatch.setattr(bands, "MEASURED", {})


@pytest.fixture
def hub() -> Iterator[Server]:
    """A Hub for ``publish_repo``, at its ``url``."""
    with serving() as server:
        server.add("/", b"hello")
        yield server
