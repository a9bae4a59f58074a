from collections.abc import Iterator

import pytest
from loopback import Server, serving


@pytest.fixture
def hub() -> Iterator[Server]:
    """A Hub for ``publish_repo``, at its ``url``."""
    with serving() as server:
        server.add("/", b"hello")
        yield server
