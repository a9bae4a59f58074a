"""``adascale tree``: a recorded search in the terminal, as a page and as a picture."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from commands import invoked
from rich.cells import cell_len
from sample_log import Log, wide
from terminal import shown

from adascale.cli.commands.tree import as_document, tree
from adascale.cli.render.state import ViewState
from adascale.cli.render.tree import whole_tree
from adascale.engine.errors import UsageError
from adascale.engine.search.events import GeneratorDescription, ModelDescription, NodesPruned, SearchStarted
from adascale.engine.types import ROOT

HOSTILE = 'a "quoted" \\frac{1}{2} <script>alert(1)</script> & `x` #5; \u202e \x1b[2J [b]\ud800\ufffe\n'


def to_text(found: ViewState) -> str:
    return shown(whole_tree(found, 100), 100)


def test_no_format_lets_markup_or_control_characters_through() -> None:
    log = Log(HOSTILE)
    started = log.events[0]
    assert isinstance(started, SearchStarted)
    models = ModelDescription(GeneratorDescription(name=HOSTILE))
    log.events[0] = replace(started, models=models, strategy=HOSTILE)
    node = log.step(ROOT, HOSTILE, 0.5)
    log.finish_path(node, HOSTILE, 0.5, "<u>\x1b[2J\ufffe", tokens=3)
    log.add(NodesPruned, nodes=(log.step(node, "cut", 0.1),), reason=HOSTILE)
    log.end()
    lines = whole_tree(log.state(), 110)

    page, picture = as_document(lines, ".html"), as_document(lines, ".svg")

    for text in (to_text(log.state()), page, picture):
        assert text.encode()
        assert "alert(1)" in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ufffe]", text)
    assert not re.search(r"<(script|u)\b|src=|href=|url\(http|@import", page + picture)
    ElementTree.fromstring(picture)


@pytest.mark.parametrize("columns", [72, 130])
def test_on_a_terminal_the_tree_has_its_width_and_colours(
    columns: int, trace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value in (("COLUMNS", str(columns)), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    tree(trace)
    shown = capsys.readouterr().out
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert max(map(cell_len, lines[: lines.index("")])) == columns
    assert "\x1b[" in shown


def test_a_plain_reply_is_shown_without_a_score() -> None:
    log = Log("hi", kind="text")
    log.finish_path(ROOT, "Hello!\nHow are you?", 0.78, None)
    log.end()

    lines = to_text(log.state()).splitlines()

    assert lines[:4] == ["Q  hi", "", "Hello!", "How are you?"]
    assert not any("78" in line or "=?" in line for line in lines)


def test_nothing_is_folded_but_thoughts_and_what_was_cut_says_why() -> None:
    log = wide(samples=30, steps=3)
    first, *_ = log.state().tree.children(ROOT)
    log.add(NodesPruned, nodes=(first,), reason="p below .35 of the question's")
    log.end()

    lines = to_text(log.state()).splitlines()

    assert len(lines) > len(log.state().tree)
    assert sum(" 1 p below .35 of the question's · " in line for line in lines) == 1


@pytest.mark.parametrize(("name", "begins"), [("t.html", "<!DOCTYPE html>"), ("t.svg", "<svg")])
def test_the_name_of_the_output_decides(trace: str, tmp_path: Path, name: str, begins: str) -> None:
    stdout, stderr = invoked("tree", trace, "--output", str(tmp_path / name))

    text = (tmp_path / name).read_text(encoding="utf-8")
    assert text.startswith(begins)
    assert stdout == ""
    assert name in stderr


def test_a_name_that_says_nothing(trace: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which format") as caught:
        invoked("tree", trace, "--output", str(tmp_path / "t.png"))

    assert "--output search.html" in caught.value.hint


def test_a_trace_is_not_replaced_by_its_picture(trace: str) -> None:
    log = Path(trace).rename(Path(trace).with_suffix(".svg"))
    before = log.read_bytes()
    with pytest.raises(UsageError, match="is the input") as caught:
        invoked("tree", str(log), "--output", str(log))
    assert caught.value.hint == "--output t-tree.svg"
    assert log.read_bytes() == before
