"""What becomes of the events of a search: parts for every protocol, and its outcome."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sample_log import Log, wide
from scripted import PLANETS, PRIME, WEIGHTS, search_options

from adascale.engine.request import SearchRequest
from adascale.engine.search.events import BranchGrew, Event, PromptRead
from adascale.engine.search.record import Record
from adascale.engine.strategies import EFFORTS, Greedy
from adascale.engine.types import ROOT, KindName, Problem, Usage
from adascale.serve import stream
from adascale.serve.outcome import Outcome
from adascale.serve.request import Ask
from adascale.serve.stream import Part

SEARCH = SearchRequest("What?", is_searched=True)
REQUEST = Ask(SEARCH.problem("1"), SEARCH)
REPLY = Ask(SEARCH.problem("1"), replace(SEARCH, strategy=Greedy()))


@pytest.fixture
def log() -> Log:
    log = wide(samples=2, steps=2)
    log.end()
    return log


def progress(events: Sequence[Event | None], request: Ask = REQUEST) -> list[Part | Outcome]:
    """The progress of events."""

    async def come() -> AsyncGenerator[Event | None, None]:
        for event in events:
            yield event

    async def run() -> list[Part | Outcome]:
        return [part async for part in stream.follow(come(), request)]

    return asyncio.run(run())


def test_a_search_begins_has_lines_and_ends_with_what_it_found(log: Log) -> None:
    first, *lines, last = progress(log.events)
    assert isinstance(first, Part)
    assert (first.reasoning, first.text) == ("", "")
    assert isinstance(last, Outcome)
    assert any(isinstance(part, Part) and part.reasoning for part in lines)
    assert Part() not in lines


@pytest.mark.parametrize("busy", [False, True], ids=["waits", "writes a long step"])
def test_a_stream_with_nothing_to_say_gives_a_sign_of_life(
    log: Log, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    seconds = itertools.count()  # each look at the clock takes one
    monkeypatch.setattr(stream, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    at = next(n for n, event in enumerate(log.events, 1) if isinstance(event, PromptRead))
    long = [BranchGrew(branch=0, parent=ROOT, text="so", tokens=1) if busy else None] * 20
    _, *found = progress([*log.events[:at], *long, *log.events[at:]])
    said = next(n for n, part in enumerate(found) if isinstance(part, Outcome) or part.reasoning)
    assert found[:said].count(Part()) == 2


def test_a_thought_is_reasoning_and_no_part_of_the_answer_that_is_streamed() -> None:
    log = Log()
    branch = log.start(ROOT)
    log.add(BranchGrew, branch=branch, parent=ROOT, text="<think>\nIs it", tokens=8, thinks=True)
    thought = log.step(
        ROOT, "<think>\nIs it 7?\n</think>", 0.5, branch=branch, tokens=12, ended=False, thought="whole"
    )
    log.finish_path(thought, "It is 6.", 0.5, "6", branch=branch, tokens=5)
    log.end()

    *parts, outcome = progress(log.events, REPLY)
    assert isinstance(outcome, Outcome)
    assert "".join(part.text for part in parts if isinstance(part, Part)) == "It is 6."
    assert "".join(part.reasoning for part in parts if isinstance(part, Part)).strip() == "Is it 7?"
    assert outcome.usage.generated_tokens - outcome.reasoning_tokens == 5


@pytest.mark.parametrize(("p", "guess"), [(0.19, True), (0.7, False)])
@pytest.mark.parametrize(
    ("kind", "text", "end"), [("value", "so", "so\n\nAnswer: 5050"), ("fact", "5050", "5050")]
)
def test_a_guess_is_called_one(p: float, guess: bool, kind: KindName, text: str, end: str) -> None:
    log = Log("What is 1?", calibrated=True, kind=kind)
    log.finish_path(ROOT, text, (0.0, p, 0.9), "5050", tokens=9)
    log.end("budget")
    outcome = Outcome(REQUEST, Record.of(log.events), Usage())
    [choice] = outcome.choices
    said = "I don't know; this is the best guess.\n\n"
    assert choice.content.replace(said, "") == end
    assert (said in choice.content) is guess


IS_IT = SearchRequest("Is it?", is_searched=True)
OPTIONS_ASK = Ask(IS_IT.problem("1"), IS_IT)


@pytest.mark.parametrize(("problem", "content"), [(PLANETS, "B. Jupiter"), (PRIME, "No")])
def test_an_option_that_was_only_read_is_the_whole_reply(problem: Problem, content: str) -> None:
    record, _ = search_options(problem, 0.99)
    outcome = Outcome(OPTIONS_ASK, record, Usage())
    assert [(choice.content, choice.finish) for choice in outcome.choices] == [(content, "stop")]
    assert outcome.usage.generated_tokens == 0
    assert outcome.summary["kind"] == problem.kind
    assert outcome.summary["probability"] == pytest.approx(0.99, abs=0.01)
    assert sum(outcome.summary["options"].values()) == pytest.approx(1.0)


def test_a_solution_is_shown_with_the_option_that_it_chose() -> None:
    record, _ = search_options(PLANETS, 0.5, "It is heavier.\nAnswer: B")
    [choice] = Outcome(OPTIONS_ASK, record, Usage()).choices
    assert choice.content == "It is heavier.\nAnswer: B\n\nAnswer: B. Jupiter"


def test_a_solution_that_is_outweighed_by_the_reading_counts_as_reasoning() -> None:
    deaf = replace(WEIGHTS, merit={"prose": 0.01, "program": 0.01})
    every = replace(EFFORTS["choice"]["low"], stop_at=1.0, min_gain=-1.0)
    record, _ = search_options(PLANETS, 0.9, "It is redder.\nAnswer: A", every, weights=deaf)
    outcome = Outcome(OPTIONS_ASK, record, Usage())
    assert [choice.content for choice in outcome.choices] == ["B. Jupiter"]
    assert outcome.reasoning_tokens == outcome.usage.generated_tokens > 0
