"""Names and sizes that lie, wherever they come in: what lies beside our folders stands, the error is ours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_log import pens

from adascale.cli.disk.traces import TraceFolder
from adascale.engine.errors import ModelCorruptError, ModelError, ModelNotFoundError, UsageError
from adascale.engine.types import Problem
from adascale.models.files.library import installed_models, remove, resolve

from .net import Net, make_spec

INFO = "/api/models/a/b"
PATHS = [
    *("", "..", "C:\\photos", "..\\..\\photos", "{}/photos", "x/../../../../../photos", "a\0b", "\ud800"),
    *("../" * up + "photos" for up in range(1, 7)),
]
TEXTS = [*PATHS, "0" * 63, "G" * 64, "C" * 40, "0" * 64 + "\n", "0" * 300]
THINGS: list[object] = [None, [], {}, ["x"], "x", -5, 0, 1.5, 10**400, 1 << 60, math.nan, math.inf]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, gguf: bytes) -> Iterator[Path]:
    """A folder, a file and a link beside the cache, which stand at the end, with nothing new beside them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "m-Q4_0.gguf").write_bytes(gguf)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(folder)
    yield folder
    ours = {"hf", "home", "cache", "ollama", "traces"}
    assert {path.name for path in tmp_path.iterdir()} - ours == {"photos", "file", "link"}
    assert [path.read_bytes() for path in folder.iterdir()] == [gguf]


@pytest.mark.parametrize("field", ["sha", "sha256", "rfilename", "size", "lfs", "siblings", ""])
def test_a_hub_that_lies(field: str, gguf: bytes, net: Net, tmp_path: Path) -> None:
    net.hub("a/b", {"m-Q4_0.gguf": gguf})
    net.server.others = 200, {}, gguf
    honest = net.server.answers[INFO][2]
    texts = [text.format(tmp_path) for text in TEXTS]
    files = [f"{text}/m-Q4_0.gguf" for text in texts[: len(PATHS)]]
    for lie in files if field == "rfilename" else texts if "sha" in field else THINGS:
        info = json.loads(honest)
        file = info["siblings"][0]
        for place in (info, file, file["lfs"]):
            if field in place:
                place[field] = lie
        net.server.add(INFO, json.dumps(info if field else lie).encode())
        for ref in ("a/b", "a/b:Q8_0") if field == "size" else ("a/b",):
            with pytest.raises(ModelError):
                pytest.fail(f"{lie!r} is taken for {resolve(ref).path}")


def test_a_manifest_of_ollama_and_settings_of_lm_studio_that_lie(net: Net, tmp_path: Path) -> None:
    manifest = tmp_path / "ollama/manifests/registry.ollama.ai/library/m/latest"
    settings = tmp_path / "home/.lmstudio/settings.json"
    loop = tmp_path / "home/.lmstudio/models/p/r/loop.gguf"
    for path in (manifest, loop):
        path.parent.mkdir(parents=True)
    loop.symlink_to(loop)
    for lie in [*TEXTS, *THINGS]:
        layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": lie}]
        for document in (lie, {"layers": lie}, {"layers": [lie]}, {"layers": layers}):
            manifest.write_text(json.dumps(document))
            settings.write_text(json.dumps({"downloadsFolder": lie} if lie in TEXTS else document))
            assert not installed_models()
            with pytest.raises(ModelCorruptError):
                resolve("ollama:m")
            for store in ("ollama", "lmstudio"):
                with pytest.raises(ModelNotFoundError, match=r"(Ollama|LM Studio) has no model"):
                    resolve(f"{store}:{lie}")


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_batch_names_its_questions(text: str, tmp_path: Path) -> None:
    log = pens()
    log.end()
    list(TraceFolder(tmp_path / "traces").keep((Problem(text, "?"), event) for event in log.events))
    [trace] = (tmp_path / "traces").iterdir()
    assert trace.name.endswith(".jsonl")


def test_a_link_of_the_cache_to_a_file_elsewhere_is_not_followed(gguf: bytes, net: Net, photos: Path) -> None:
    spec = net.know(make_spec(gguf))
    net.hub(spec.hub.repo, {spec.file: gguf})
    link = net.put(spec, gguf)
    link.unlink()
    link.symlink_to(photos / "m-Q4_0.gguf")
    with pytest.raises(UsageError, match="lies outside of"):
        remove("tiny")
    link.unlink()
    link.parent.rmdir()
    link.parent.symlink_to(photos)
    for blob in (net.cache / "models--someone--tiny-GGUF" / "blobs").iterdir():
        blob.unlink()
    with pytest.raises(UsageError, match="lies outside of"):
        resolve("tiny")
