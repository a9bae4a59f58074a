"""``adascale replay``: a recorded search again, on streams and as a picture."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from commands import invoked
from sample_log import Log, pens, written
from terminal import shown

from adascale.cli.commands.replay import document, picture, play
from adascale.cli.disk.traces import read_trace
from adascale.cli.render.state import ViewState
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.search.events import (
    GeneratorDescription,
    ModelDescription,
    NodesPruned,
    SearchFailed,
    SearchStarted,
)
from adascale.engine.types import ROOT, Notice


@pytest.mark.parametrize("json_output", [(), ("--json",)])
def test_a_search_that_failed_ends_as_it_did_when_it_was_asked(
    json_output: tuple[str, ...], tmp_path: Path
) -> None:
    log = pens()
    notice = Notice("too-long", "the question is too long", (), "a shorter one")
    log.add(SearchFailed, notice=notice, error_type="ContextOverflowError")
    trace = written(tmp_path / "t.jsonl", log.events)
    with pytest.raises(AdascaleError, match="the question is too long"):
        invoked("replay", str(trace), *json_output)
    told = shown(picture(ViewState.of(read_trace(trace))), 100)
    assert "failed: the question is too long" in told
    unfinished = written(tmp_path / "u.jsonl", pens().events)
    assert " · unfinished · " in shown(picture(ViewState.of(read_trace(unfinished))), 100)


def test_a_search_that_never_ended_has_no_answer(tmp_path: Path) -> None:
    trace = str(written(tmp_path / "t.jsonl", pens().events))
    stdout, stderr = invoked("replay", trace)
    record, _ = invoked("replay", trace, "--json")

    assert stdout == ""
    assert "warning[unfinished-trace]" in stderr
    assert record == ""


@pytest.mark.parametrize(("speed", "last"), [(1.0, 4.0), (4.0, 1.0), (None, 0.0)])
def test_a_live_view_keeps_the_recorded_pace(
    speed: float | None, last: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, times = [0.0], list[float]()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    log = Log(pace=1.0)
    log.read_prompt()
    log.step(ROOT, "hm\n", 0.5)
    play(log.events, lambda event: times.append(now[0]), speed)
    assert times[-1] == pytest.approx(last)
    assert len(times) == len(log.events)


HOSTILE = 'a "quoted" \\frac{1}{2} <script>alert(1)</script> & `x` #5; \u202e \x1b[2J [b]\ud800\ufffe\n'


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
    drawn = picture(log.state())
    image = document(drawn)
    for text in (shown(drawn, 110), image):
        assert text.encode()
        assert "alert(1)" in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ufffe]", text)
    assert not re.search(r"<(script|u)\b|src=|href=|url\(http|@import", image)
    ElementTree.fromstring(image)


def test_a_picture_is_svg(trace: str, tmp_path: Path) -> None:
    stdout, stderr = invoked("replay", trace, "--output", str(tmp_path / "t.svg"))
    assert (tmp_path / "t.svg").read_text(encoding="utf-8").startswith("<svg")
    assert stdout == ""
    assert "t.svg" in stderr
    with pytest.raises(UsageError, match="SVG") as caught:
        invoked("replay", trace, "--output", str(tmp_path / "t.png"))
    assert caught.value.hint == "--output search.svg"


def test_a_trace_is_not_replaced_by_its_picture(trace: str) -> None:
    log = Path(trace).rename(Path(trace).with_suffix(".svg"))
    before = log.read_bytes()
    with pytest.raises(UsageError, match="is the input") as caught:
        invoked("replay", str(log), "--output", str(log))
    assert caught.value.hint == "--output t-tree.svg"
    assert log.read_bytes() == before
