"""One search on the screen: a plain reply reaches stdout while it is generated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from adascale.cli import searching as asking
from adascale.cli.options.by_command import ViewOptions
from adascale.cli.render.views import PlainView
from adascale.cli.searching import follow_search, question_text
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Conditions, Request, SearchRequest
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import BranchGrew, Event, ModelDescription
from adascale.engine.types import Problem
from bench.scripted import ScriptedPolicy, scripted_step

REPLY = "Hello, how can I help you?"


@pytest.mark.parametrize(("argument", "piped"), [("1 \udcff 2?", ""), ("-", "1 \ud800 2?")])
def test_half_of_a_surrogate_pair_is_a_question_mark_from_the_door_on(
    monkeypatch: pytest.MonkeyPatch, argument: str, piped: str
) -> None:
    monkeypatch.setattr(asking, "read_stdin", lambda: piped)
    monkeypatch.setattr(asking, "read_piped", lambda **_: piped)
    assert question_text([argument], "") == "1 ? 2?"


def test_words_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "read_piped", lambda **_: "")
    assert question_text(["what", "is", "3", "-", "1"], "") == "what is 3 - 1"


@pytest.mark.parametrize("is_chat", [True, False])
def test_a_reply_is_printed_while_it_is_generated(capsys: pytest.CaptureFixture[str], is_chat: bool) -> None:
    policy = ScriptedPolicy(lambda prefix, rng: scripted_step(REPLY, "stop"), 1)
    driver = Driver(policy, SequenceLogprob(), {}, lambda: 0.0)
    printed: list[str] = []

    def serve(requests: list[Request]) -> Iterator[tuple[Problem, Event]]:
        for problem, event in driver.serve(requests):
            yield problem, event
            if isinstance(event, BranchGrew):
                printed.append(capsys.readouterr().out)

    conditions = defaultdict(lambda: Conditions(ModelDescription(), ()))
    opened = SimpleNamespace(conditions=conditions, modes=())
    worker: Any = SimpleNamespace(serve=serve, interrupt=lambda: None, open_models=opened)
    problem = Problem("1", "hi", kind="text" if is_chat else "value")
    search, view = SearchRequest(strategy="vote", samples=1), ViewOptions(save=False)
    follow_search(worker, problem, search, PlainView(show_tree=True), view, prints_reply=True)

    rest = capsys.readouterr()
    whole = "".join(printed) + rest.out
    assert whole == (f"{REPLY}\n" if is_chat else "")
    assert ("● question" in rest.err) is not is_chat, "a reply has no tree"
    assert not is_chat or len([piece for piece in printed if piece]) > 2
