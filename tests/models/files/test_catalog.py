from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

from adascale.models.files.catalog import DEFAULT_GENERATOR, ThinkingSupport, catalog


def test_the_default_is_the_first_entry_and_comes_from_two_sources() -> None:
    assert next(iter(catalog())) == DEFAULT_GENERATOR
    assert catalog()[DEFAULT_GENERATOR].wheel is not None


def test_every_entry_is_well_formed() -> None:
    for name, spec in catalog().items():
        assert spec.name == name
        assert re.fullmatch(r"[a-z0-9.-]+", name)
        assert spec.file.endswith(".gguf")
        assert re.fullmatch(r"[\w.-]+/[\w.-]+-GGUF", spec.hub.repo)
        assert re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
        assert spec.hub.revision is None or re.fullmatch(r"[0-9a-f]{40}", spec.hub.revision)
        assert bool(spec.architecture) is (spec.role == "generator")
        assert (spec.kv_bytes_per_token is not None) is (spec.role == "generator")
        assert spec.thinking in get_args(ThinkingSupport)


def test_only_two_entries_follow_the_main_branch() -> None:
    """docs/security.md names them; their sha256 decides all the same."""
    without = {name for name, spec in catalog().items() if spec.hub.revision is None}
    assert without == {"gemma3-270m", "math-shepherd-7b"}


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = (
        "import sys, adascale.models.files.library, adascale.cli.commands.models\n"
        "heavy = {'huggingface_hub', 'llama_cpp', 'httpx2', 'unearth', 'numpy', 'psutil'}\n"
        "print(*heavy & set(sys.modules))"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
