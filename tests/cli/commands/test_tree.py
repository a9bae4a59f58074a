import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from commands import invoked
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from sample_log import Log, pens, programs, wide
from searches import searched
from traces import written

from adascale.cli.commands.tree import tree
from adascale.cli.documents.page import to_html
from adascale.cli.documents.picture import to_lines, to_svg
from adascale.cli.render.rows import all_rows
from adascale.cli.render.state import ViewState
from adascale.cli.report.answer import answer_record
from adascale.cli.terminal.console import use_color
from adascale.engine.answers.result import SearchResult
from adascale.engine.errors import UsageError
from adascale.engine.search.events import (
    GeneratorDescription,
    ModelDescription,
    NodesPruned,
    SearchFinished,
    SearchStarted,
)
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, Estimate, Usage

HOSTILE = 'a "quoted" \\frac{1}{2} <script>alert(1)</script> & `x` #5; $y$ \x1b[2J [b]\n'


def hostile() -> ViewState:
    log = Log(HOSTILE)
    started = log.events[0]
    assert isinstance(started, SearchStarted)
    models = ModelDescription(GeneratorDescription(name=HOSTILE + "\ud800"))
    log.events[0] = replace(started, models=models)
    log.read_prompt()
    log.grant(ROOT, 1)
    node = log.step(ROOT, HOSTILE, 0.5)
    log.finish_path(node, HOSTILE, 0.5, "<u>\x1b[2J\ufffe", tokens=3)
    log.add(NodesPruned, nodes=(log.step(node, "cut", 0.1),), reason=HOSTILE)
    log.end()
    return log.state()


def to_text(found: ViewState) -> str:
    return "\n".join(line.plain.rstrip() for line in to_lines(found, 100))


class Page(HTMLParser):
    """Tags as they nest; an element that is closed out of order is an error.

    Attributes:
        steps: Texts and programs in the folds of solutions.
        shown: Those of the solution that is shown.
        opened: Number of open folds.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.opened = 0
        self.steps: list[str] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open
        self.steps, self.shown = ([text.strip() for text in place] for place in (self.steps, self.shown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href", "onclick"} & dict(attrs).keys()
        self.tags.append(tag)
        if tag == "meta":
            return
        self.open.append((tag, dict(attrs).get("class") or ""))
        if self.open[-1] in (("div", "prose"), ("div", "code")) or tag == "pre":
            self._place.append("")
        self.opened += tag == "details" and "open" in dict(attrs)

    @property
    def _place(self) -> list[str]:
        return self.steps if ("ol", "solutions") in self.open else self.shown

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if ("div", "prose") in self.open or "pre" in dict(self.open):
            self._place[-1] += data


def test_the_page_has_every_step() -> None:
    log = pens()
    log.end()
    found = log.state()

    page = Page(to_html(found))

    steps = [node.step.text.strip() for node in found.tree if node.step]
    assert set(page.steps) == set(steps)
    assert page.shown == ["\n".join(steps[at - 1] for at in sorted(found.best_path - {ROOT}))]
    assert page.opened == 1  # how it got there
    assert {"html", "main", "h1", "title"} <= set(page.tags)


def test_the_page_says_the_answer_before_anything_else() -> None:
    log = pens()
    log.end()
    page = to_html(log.state())

    body = page[page.index("</header>") :]
    places = [body.index(part) for part in ("3 pens cost", ">27</strong>", "93 % sure", "Solution 1", "seed")]

    assert places == sorted(places)


def test_a_reply_stands_alone_on_its_page() -> None:
    log = Log("Write a haiku.", kind="text")
    log.read_prompt()
    log.grant(ROOT, 1)
    log.finish_path(ROOT, "Leaves fall *softly*.", 0.9, None)
    log.end()

    page = to_html(log.state())

    assert "<em>softly</em>" in page
    assert not re.search(r"\d %|Solution 1|How it got there", page.partition("</header>")[2])


def test_model_text_stays_text_on_the_page() -> None:
    page = Page(to_html(hostile()))

    assert not {"script", "u"} & set(page.tags)
    shown = HOSTILE.replace("\x1b", "").replace("\\frac{1}{2}", "1/2").replace("`x`", "x").replace("$y$", "y")
    assert page.steps[0].split() == shown.split()


def test_the_picture_is_well_formed_and_loads_nothing() -> None:
    log = wide()
    log.end()
    text = to_svg(log.state())

    ElementTree.fromstring(text)
    assert set(re.findall(r"https?://[^\s\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in text
    assert text == to_svg(log.state())
    ElementTree.fromstring(to_svg(hostile()))


def test_plain_text_is_what_the_terminal_shows() -> None:
    log = pens(running=False)
    log.end()

    lines = to_text(log.state()).splitlines()

    assert lines[0] == "Q  3 pens cost $2. How many pens can you buy for $18?"
    assert lines[-4] == "27 · 93 % sure · 2 of 2 solutions agree · 0.0 s"
    assert lines[-1] == "strategy beam, budget 2,048 tokens, seed 7"


@pytest.mark.parametrize("columns", [72, 80, 130])
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
    use_color("never")
    tree(trace)
    use_color("auto")
    assert "\x1b" not in capsys.readouterr().out


def test_a_plain_reply_is_shown_without_a_score() -> None:
    log = Log("hi", kind="text")
    log.finish_path(ROOT, "Hello!\nHow are you?", 0.78, None)
    log.end()

    lines = to_text(log.state()).splitlines()

    assert lines[:4] == ["Q  hi", "", "Hello!", "How are you?"]
    assert not any("78" in line or "=?" in line for line in lines)


def test_nothing_is_folded_in_a_text_and_what_was_cut_says_why() -> None:
    log = wide(samples=30, steps=3)
    first, *_ = log.state().tree.children(ROOT)
    log.add(NodesPruned, nodes=(first,), reason="p below .35 of the question's")
    log.end()

    lines = to_text(log.state()).splitlines()

    assert len(lines) > len(log.state().tree)
    assert sum("  p below .35 of the question's " in line for line in lines) == 1
    assert [row.why for row in all_rows(log.state()) if row.why] == ["p below .35 of the question's"]


def test_no_format_lets_control_characters_through() -> None:
    for write in (to_text, to_svg, to_html):
        assert write(hostile()).encode()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe]", write(hostile())), write


@settings(max_examples=20, deadline=None)
@given(
    strategy=st.sampled_from(sorted(set(STRATEGIES) - {"rollouts"})),
    seed=st.integers(0, 1000),
    share=st.floats(0.1, 1.0),
)
def test_there_is_a_row_for_every_node_below_its_parent(strategy: str, seed: int, share: float) -> None:
    log = searched(strategy, seed, None)
    events = log[: max(1, int(share * len(log)))]
    found = ViewState.of(events)

    rows = all_rows(found)
    labels = [row.label for row in rows]
    assert len(set(labels)) == len(labels) == len(found.tree) + len(found.running)
    assert labels[0] == ""
    for at, row in enumerate(rows[1:], 1):
        assert row.label.rpartition(".")[0] in labels[:at]
        assert len(row.lasts) == row.label.count(".") + 1
    written_tokens = sum(row.tokens or 0 for row in rows if row.mark != "running")
    assert written_tokens == sum(len(node.step.token_ids) for node in found.tree if node.step)
    for convert in (to_html, to_text):
        assert convert(found)


def test_a_program_is_in_every_format_with_what_it_printed() -> None:
    found = programs().state()

    page, text = to_html(found), to_text(found)

    code = ["price = 0\nprint(18 / price)", "→ ZeroDivisionError: division by zero"]
    assert set(code) <= set(Page(page).steps)
    assert 'class="ran failed"' in page
    assert "program · 14 tokens · failed" in page
    assert [line.strip("│ ") for line in text.splitlines()].count("pens += 3") == 1


def test_every_format_counts_the_same_solutions() -> None:
    log = programs()
    log.end()
    found = log.state()

    for write in (to_html, to_svg, to_text):
        assert "3 of 4 solutions agree" in write(found)
    told = answer_record(found, 0.0)["agreement"]
    assert (told["agree"], told["solutions"]) == found.agreement == (3, 4)


def test_options_that_were_read_have_a_bar_each() -> None:
    log, sure = Log("Is 91 prime?", kind="yes-no"), Estimate(0.7, 0.81, 0.9, True)
    result = SearchResult("no", sure, (), None, "confident", options={"yes": 0.19, "no": 0.81})
    log.add(SearchFinished, result=result, usage=Usage())

    for write in (to_html, to_svg):
        told = re.sub(r"<[^>]*>", " ", write(log.state()))
        assert re.search(r"Yes\W+19 %\W+No\W+81 %", told), write
        assert "81 % sure" in told


def test_a_thought_is_folded_in_every_format() -> None:
    log = Log()
    branch = log.start(ROOT)
    first = log.step(ROOT, "<think>Hmm.\n\n", 0.3, branch=branch, tokens=70, ended=False, thought="part")
    last = log.step(first, "So.</think>", 0.4, branch=branch, tokens=5, ended=False, thought="whole")
    log.finish_path(last, "It is 27.", 0.9, "27", branch=branch)
    log.end()
    shown = log.state()
    text, page = to_text(shown), to_html(shown)
    assert text.count("thought, 75 tokens") == 1
    assert "Hmm" not in text
    assert "<summary>thought, 70 tokens</summary>" in page
    assert Page(page).shown == ["It is 27."]


def test_an_answer_without_a_visible_character_has_a_picture() -> None:
    log = Log()
    log.finish_path(ROOT, "It is.", 0.9, "\u200b")
    log.end()
    assert ElementTree.fromstring(to_svg(log.state())).tag.endswith("svg")


def test_a_solution_of_nothing_but_a_thought_is_shown_in_its_fold() -> None:
    log = Log()
    log.finish_path(ROOT, "<think>Hmm.", 0.3, None, thought="cut")
    log.end()
    page = to_html(log.state())
    assert "<summary>thought, 20 tokens</summary>" in page
    assert Page(page).shown == []


app = typer.Typer()
app.command()(tree)


def run(*args: str) -> tuple[str, str]:
    return invoked(app, *args)


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("t.html", "<!doctype html>"),
        ("t.svg", "<svg"),
    ],
)
def test_the_name_of_the_output_decides(trace: str, tmp_path: Path, name: str, begins: str) -> None:
    stdout, stderr = run(trace, "-o", str(tmp_path / name))

    text = (tmp_path / name).read_text(encoding="utf-8")
    assert text.startswith(begins)
    assert text.endswith("\n")
    assert stdout == ""
    assert name in stderr


def test_a_name_that_says_nothing(trace: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which format") as caught:
        run(trace, "-o", str(tmp_path / "t.png"))

    assert "-o search.svg" in caught.value.hint


@pytest.mark.parametrize("name", ["-", "t.html", "t.svg"])
def test_no_text_turns_the_reading_direction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log("is it \u202eafe\u2066?\u2069")
    log.read_prompt()
    log.grant(ROOT, 1)
    log.finish_path(log.step(ROOT, "\u202eno", 0.5), "\u202eend", 0.5, "\u202e7", tokens=3)
    log.end()
    trace = str(written(tmp_path / "t.jsonl", log.events))
    stdout, _ = run(trace, "-o", name)
    shown = stdout or Path(name).read_text(encoding="utf-8")
    assert "is it afe?" in shown.replace("\xa0", " ").replace("&#160;", " ")
    assert not set("\u202e\u2066\u2069") & set(shown)


def test_a_browser_runs_and_loads_nothing_for_a_page() -> None:
    head, _, _ = to_html(hostile()).partition("<title>")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in head


def test_a_trace_is_not_replaced_by_its_picture(trace: str) -> None:
    log = Path(trace).rename(Path(trace).with_suffix(".svg"))
    before = log.read_bytes()
    with pytest.raises(UsageError, match="is the input") as caught:
        run(str(log), "-o", str(log))
    assert caught.value.hint == "-o t-tree.svg"
    assert log.read_bytes() == before


@pytest.mark.parametrize("answer", ["Canberra", "Abcdefghij" * 2, "Abcdefghij" * 4])
def test_what_stands_beside_a_large_answer_is_within_the_picture(answer: str) -> None:
    log = Log("Who?", kind="fact")
    for _ in range(3):
        log.finish_path(ROOT, "x", 0.8, answer)
    log.end("confident")
    picture = to_svg(log.state())
    width = float(re.search(r'width="(\d+)"', picture)[1])  # type: ignore[index]
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="(\d+)"', picture)
    assert len(bars) == 2
    assert all(float(left) + int(size) < width for left, size in bars)
