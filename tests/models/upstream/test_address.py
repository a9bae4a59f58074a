from __future__ import annotations

import pytest

from adascale.engine.errors import UsageError
from adascale.models.upstream.address import Address, is_address


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("http://gpu:11434", "http://gpu:11434/v1", None),
        ("http://gpu:11434/v1/", "http://gpu:11434/v1", None),
        ("HTTP://GPU:11434/#qwen3:4b", "http://gpu:11434/v1", "qwen3:4b"),
        ("https://openrouter.ai/api/v1#qwen/qwen3-4b", "https://openrouter.ai/api/v1", "qwen/qwen3-4b"),
        ("http://[::1]:8080#a#b", "http://[::1]:8080/v1", "a#b"),
    ],
)
def test_an_address_has_the_url_of_the_api_and_a_name(text: str, url: str, name: str | None) -> None:
    address = Address.parse(text)
    assert (address.url, address.name) == (url, name)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "http://:80",
        "http://a:b",
        "http://a:0",
        "http://a b",
        "ftp://a",
        "http://x..y",
        "gpu:11434",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no address of a server") as caught:
        Address.parse(text)
    assert "11434" in caught.value.hint


@pytest.mark.parametrize("text", ["http://user:secret@gpu:8000", "http://gpu:8000/v1?key=secret"])
def test_a_password_in_an_address_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.parse(text)
    assert "secret" not in f"{caught.value.message} {caught.value.facts} {caught.value.hint}"


@pytest.mark.parametrize("key", ["", " \n", "schlüssel", "two\nlines"])
def test_a_key_that_no_header_carries_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="key"):
        Address.parse("http://gpu:8000", key)


def test_a_key_is_in_no_text_of_an_address() -> None:
    address = Address.parse("http://gpu:8000", "sk-secret\n")
    assert address.key == "sk-secret"
    assert "sk-secret" not in f"{address} {address!r}"


def test_only_this_machine_is_local() -> None:
    local = {"localhost:1", "127.0.0.1:1", "[::1]:1", "a.localhost"}
    assert {
        host for host in (*local, "gpu:1", "10.0.0.1") if Address.parse(f"http://{host}").is_local
    } == local


def test_names_and_files_are_no_addresses() -> None:
    assert [
        name for name in ("qwen", "http", "./http://a", "hf.co/a/b", "HTTPS://a") if is_address(name)
    ] == ["HTTPS://a"]
