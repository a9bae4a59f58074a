"""The seam to llama.cpp: threads, the abort flag, and errors made of what it logs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from adascale.engine.errors import MemoryOverflowError, ModelCorruptError, ModelError
from adascale.models.llama import model as native
from adascale.models.llama.model import explain_load_failure


def failure(monkeypatch: pytest.MonkeyPatch, *logged: str) -> ModelError | MemoryOverflowError:
    monkeypatch.setattr(native, "log_lines", logged)
    return explain_load_failure("m.gguf")


@pytest.mark.parametrize(
    "line", ["key not found in model: qwen2.context_length", "gguf_init: failed to read magic"]
)
def test_whatever_is_wrong_with_a_file_there_is_a_fix(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    assert failure(monkeypatch, f"llama_model_load: error loading model: {line}").hint


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (
            "llama_model_load: error loading model architecture: unknown model architecture: 'foo'",
            ModelCorruptError,
            'm.gguf uses the architecture "foo" that this llama.cpp does not know',
        ),
        (
            "tensor 'x' data is not within the file bounds, model is corrupted or incomplete",
            ModelCorruptError,
            "m.gguf is incomplete",
        ),
        ("unable to allocate CPU buffer", MemoryOverflowError, "llama.cpp got no memory for m.gguf"),
        ("failed to allocate buffer for kv cache", MemoryOverflowError, "llama.cpp got no memory for m.gguf"),
        ("something new", ModelError, "llama.cpp cannot load m.gguf"),
    ],
)
def test_load_failures_are_explained(
    monkeypatch: pytest.MonkeyPatch, line: str, kind: type[Exception], words: str
) -> None:
    error = failure(monkeypatch, "loaded meta data", line)
    assert type(error) is kind
    assert error.message == words
    if kind is not ModelCorruptError:
        assert line in error.facts


@pytest.mark.parametrize(
    ("own", "count"),
    [({}, "10000"), ({"OMP_WAIT_POLICY": "active"}, "None"), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_threads_sleep_soon_unless_the_user_says_how_they_wait(own: dict[str, str], count: str) -> None:
    code = (
        "import os, sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Watch(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'llama_cpp': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import adascale.models.session\n"
    )
    others = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=others | own)
    assert done.stdout == f"{count}\n", done.stderr
