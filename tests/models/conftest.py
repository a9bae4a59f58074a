from __future__ import annotations

import pytest
import tiny


@pytest.fixture
def gguf() -> bytes:
    """A whole file that no model would open."""
    return tiny.gguf_bytes(tensors={"a.weight": (64, 64), "b.weight": (32, 8)})
