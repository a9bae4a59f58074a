"""Files that are damaged, or made to harm: commands that read them say what is wrong with them."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from adascale.cli.disk.results import SCHEMA
from adascale.models.calibration import artefact

from .conftest import GOLDEN, SHIPPED, Fuzz, is_orderly
from .forks import Exit, Forks
from .mutations import encode_json, mutated_bytes, mutated_json, mutated_lines

pytestmark = pytest.mark.slow


def test_gguf_headers(fuzz: Fuzz, forks: Forks, random_gguf: Path, tmp_path: Path) -> None:
    whole, path = random_gguf.read_bytes(), tmp_path / "model.gguf"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        ended = forks.run("show", str(path))
        assert is_orderly(ended), ended
        assert ended.code == 0 or "\nhint: " in ended.stderr, ended

    path.write_bytes(whole)
    assert forks.run("show", str(path)).code == 0
    fuzz("gguf", 60, mutated_bytes([whole], first=8_000), check)


def test_manifests_of_ollama(fuzz: Fuzz, forks: Forks, random_gguf: Path) -> None:
    data, store = random_gguf.read_bytes(), Path(forks.env["HOME"]) / ".ollama" / "models"
    digest = hashlib.sha256(data).hexdigest()
    blob, manifest = store / f"blobs/sha256-{digest}", store / "manifests/registry.ollama.ai/library/m/latest"
    for path in (blob, manifest):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": 1}
    whole = {"schemaVersion": 2, "config": {"size": 1}, "layers": [layer]}

    def check(data: bytes) -> None:
        manifest.write_bytes(data)
        for command in (("list",), ("show", "ollama:m")):
            ended = forks.run(*command)
            assert is_orderly(ended), (command, ended)

    manifest.write_bytes(encode_json(whole))
    assert forks.run("show", "ollama:m").code == 0
    files = mutated_json(whole).map(encode_json) | mutated_bytes([encode_json(whole)])
    fuzz("ollama", 25, files, check)


def test_traces(fuzz: Fuzz, forks: Forks, tmp_path: Path) -> None:
    samples = [path.read_bytes() for path in sorted(GOLDEN.glob("*.jsonl"))]
    path = tmp_path / "trace.jsonl"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        for command in (("replay", str(path)), ("tree", str(path), "--output", str(tmp_path / "page.html"))):
            ended = forks.run(*command)
            assert is_orderly(ended), (command, ended)

    assert samples
    for sample in samples:
        path.write_bytes(sample)
        assert forks.run("replay", str(path)).code == 0
    fuzz("traces", 25, mutated_lines(samples), check)


def test_calibrations(fuzz: Fuzz, forks: Forks, tmp_path: Path) -> None:
    """Half of them torn or flipped, half of another content that is signed anew."""
    whole = SHIPPED.read_bytes()
    header_bytes = 8 + struct.unpack("<Q", whole[:8])[0]
    path = tmp_path / "c.calibration.safetensors"
    path.write_bytes(whole)
    tensors, metadata = artefact._read_file(path)

    def signed(card: Any) -> bytes:
        changed = {**metadata, "card": encode_json(card).decode()}
        arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        return save(arrays, {**changed, "sha256": artefact._digest(tensors, changed)})

    def check(data: bytes) -> None:
        path.write_bytes(data)
        ended = forks.run("calibrate", "show", str(path))
        assert is_orderly(ended), ended

    path.write_bytes(signed(json.loads(metadata["card"])))
    assert forks.run("calibrate", "show", str(path)).code == 0
    cards = mutated_json(json.loads(metadata["card"])).map(signed)
    fuzz("calibrations", 25, cards | mutated_bytes([whole], first=header_bytes), check)


RECORD = {
    "schema": SCHEMA, "version": "0.1.0", "id": "a", "question": "What is 9 * 2?", "status": "answered",
    "answer": "18", "model": {"sha256": "0" * 64, "n_ctx": 512}, "prm": None, "calibration": {"name": "x"},
    "sampling": {"temperature": 0.7}, "search": {"strategy": "vote", "seed": 1},
    "budget": {"tokens": {"limit": 100, "used": 50}, "time_s": {"limit": None, "used": 1.0}},
}  # fmt: skip


def test_outputs_of_a_batch(fuzz: Fuzz, forks: Forks, tmp_path: Path) -> None:
    """Another run of the same command reads them before it asks a model, of which there is none here."""
    questions, output = tmp_path / "q.jsonl", tmp_path / "o.jsonl"
    questions.write_text('{"id": "a", "question": "What is 9 * 2?"}\n')
    samples = [encode_json(RECORD) + b"\n" + encode_json(RECORD | {"id": "b", "status": "failed"}) + b"\n"]

    def run_on(data: bytes) -> Exit:
        output.write_bytes(data)
        return forks.run(
            "batch", str(questions), "--output", str(output), "-m", str(tmp_path / "none.gguf"), "-q"
        )

    def check(data: bytes) -> None:
        ended = run_on(data)
        assert is_orderly(ended), ended

    assert run_on(samples[0]).code == 0, "the question has its answer, so no model is wanted"
    assert run_on(b"").code == 4, "the model is not there"
    fuzz("outputs", 25, mutated_lines(samples), check)
