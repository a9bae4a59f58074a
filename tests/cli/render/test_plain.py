import pytest
from sample_log import Log, pens

from adascale.cli.render.display import choose_progress
from adascale.cli.render.views import FinalRenderer, PlainRenderer
from adascale.engine.types import ROOT


def lines(log: Log, renderer: FinalRenderer, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a renderer says about a log; stdout must stay empty."""
    for event in log.events:
        renderer.on(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def finished(**kwargs: float) -> Log:
    log = pens(running=False, **kwargs)  # type: ignore[arg-type]
    log.end("confident")
    return log


def test_a_short_search_says_which_answer_leads(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(finished(pace=0.3), PlainRenderer(), capsys)
    assert said == ["adascale: 1 solution · 27 leads, 93 % sure · 213 tokens · 8 s"]


def test_a_long_search_says_something_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(calibrated=False, pace=2.0)
    for n in range(5):
        log.step(ROOT, f"idea {n}\n", 0.5)
    said = lines(log, PlainRenderer(), capsys)

    assert said == [
        f"adascale: writing a solution · {tokens} tokens · {seconds} s"
        for tokens, seconds in ((40, 10), (60, 20), (100, 30))
    ]


@pytest.mark.parametrize(("columns", "width"), [("", 100), ("72", 72), ("nonsense", 100), ("3", 100)])
def test_the_tree_follows_once_at_columns_or_100(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    said = lines(finished(), PlainRenderer(show_tree=True), capsys)
    tree = said[1:]

    assert tree[0] == "Q  3 pens cost $2. How many pens can you buy for $18?"
    assert max(map(len, tree)) == width
    assert sum("question" in line for line in tree) == 1
    assert all(line == line.rstrip() for line in tree)


def test_warnings_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.warn("slow", "this takes long")
    log.warn("slow", "this takes long")

    assert lines(log, FinalRenderer(), capsys) == ["warning[slow]: this takes long"]


@pytest.mark.parametrize(
    ("quiet", "animate", "kind"),
    [(0, True, "live"), (0, False, "plain"), (1, True, "none"), (1, False, "none")],
)
def test_which_progress(quiet: int, animate: bool, kind: str) -> None:
    assert choose_progress(quiet, animate) == kind
