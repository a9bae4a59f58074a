from collections.abc import Iterator

import pytest
from loopback import WebServer, listening

from adascale.engine import bands


@pytest.fixture(autouse=True)
def every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind has every word: what was counted of a model decides no test of a screen."""
    monkeypatch.setattr(bands, "MEASURED", {})


@pytest.fixture
def hub() -> Iterator[WebServer]:
    """A Hub for ``publish_repo``, at its ``url``."""
    with listening() as server:
        server.add("/", b"hello")
        yield server
