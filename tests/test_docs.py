"""The documentation is true: its snippets run, and what is made from the program is up to date."""

from __future__ import annotations

import doctest
import os
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_server import MODEL, Served, served

import adascale
from adascale.export import FORMATS
from adascale.models.files import catalog

ROOT = Path(__file__).parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def snippets() -> list[tuple[str, str]]:
    """Place and code of each; a tiny model or a scripted server stands in for the named ones."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for match in SNIPPET.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{page.name}:{line}", match[1]))
    for name in ("ask", "search", "code", "label"):
        [example] = doctest.DocTestParser().get_examples(getattr(adascale, name).__doc__)
        found.append((f"adascale.{name}: example", f"import adascale\n{example.source}"))
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.mark.parametrize(("place", "code"), snippets(), ids=lambda value: value if ":" in value[:30] else "")
def test_a_snippet_runs(
    place: str,
    code: str,
    chain_gguf: Path,
    server: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    code = code.replace("http://127.0.0.1:8321", server.url)
    code = re.sub(r'model="qwen2\.5-coder-[\d.]+b', f'model="{MODEL}', code)
    code = re.sub(r'"qwen2\.5-coder-[\d.]+b"', repr(str(chain_gguf)), code)
    named = rf"\1, model={str(chain_gguf)!r}, \2"
    code = re.sub(r"(adascale\.(?:code\(\"[^\"]*\"|label\(\[.*?\])), ((?:tests|labels)=)", named, code)
    code = re.sub(r"(adascale\.(?:ask|search)\(\"[^\"]*\")\)", rf"\1, {str(chain_gguf)!r})", code)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert catalog.DEFAULT_GENERATOR not in code

    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(code, place, "exec", dont_inherit=True), names)
    if "client" in names:
        names["client"].close()  # a snippet leaves its connection open

    assert capfd.readouterr().out.strip()


def test_there_are_snippets() -> None:
    assert len(snippets()) >= 6


@pytest.mark.parametrize("name", ["make_models.py", "make_options.py"])
def test_a_generated_table_is_up_to_date(name: str) -> None:
    made = runpy.run_path(str(ROOT / "docs" / name))

    assert made["page"]() == made["PAGE"].read_text(encoding="utf-8"), f"run python docs/{name}"


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")]
    assert len(pages) > 15
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if target.startswith(("http:", "https:")):
                continue
            path, _, anchor = target.partition("#")
            place = page.parent / path if path else page
            assert place.exists(), f"{page} links to {target}"
            assert not anchor or anchor in slugs(place), f"{page} links to {target}"


def test_user_pages_have_no_laboratory_notes() -> None:
    """A figure names its command; dates and digests of measurements are for the history."""
    docs = ROOT / "docs"
    pages = [ROOT / "README.md", *docs.glob("*.md"), *(docs / "recipes").glob("*.md")]
    notes = re.compile(r"\b20\d\d-\d\d-\d\d\b|\b[0-9a-f]{7,64}…|\bcommit [0-9a-f]{7}")
    for page in pages:
        assert not (found := notes.search(page.read_text(encoding="utf-8"))), f"{page}: {found}"


def test_examples_of_training_data_are_of_the_golden_files() -> None:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    golden = ROOT / "tests" / "golden" / "datasets"
    shown = re.findall(r"^\*\*([\w-]+)\*\*:.*?^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in shown] == list(FORMATS)
    for name, block in shown:
        kept = (golden / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert block.removesuffix("\n") in kept, name
