"""Every Python snippet of the documentation runs, on a tiny model in the place of the named ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adascale.models import catalog

ROOT = Path(__file__).parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def snippets() -> list[tuple[str, str]]:
    """Place and code of each."""
    found = []
    for page in (ROOT / "README.md", ROOT / "docs" / "python.md"):
        text = page.read_text(encoding="utf-8")
        for match in SNIPPET.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{page.name}:{line}", match[1]))
    return found


@pytest.mark.parametrize(("place", "code"), snippets(), ids=lambda value: value if ":" in value[:30] else "")
def test_a_snippet_runs(
    place: str,
    code: str,
    chain_gguf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = re.sub(r'"qwen2\.5-coder-[\d.]+b"', repr(str(chain_gguf)), code)
    code = re.sub(r"(adascale\.(?:ask|search)\(\"[^\"]*\")\)", rf"\1, {str(chain_gguf)!r})", code)
    assert catalog.DEFAULT_GENERATOR not in code

    exec(compile(code, place, "exec"), {"__name__": "snippet"})

    assert capsys.readouterr().out.strip()


def test_there_are_snippets() -> None:
    assert len(snippets()) >= 6
