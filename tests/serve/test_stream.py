"""What becomes of the events of a search: parts, the outcome, and the events of each protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sample_log import Log
from scripted import PLANETS, PRIME, search_options
from scripted_server import EchoPolicy, Served, echo, say, served

from adascale.engine.answer import Answer
from adascale.engine.request import SearchRequest
from adascale.engine.search.events import BranchGrew, Event
from adascale.engine.search.record import Record
from adascale.engine.strategies import Greedy
from adascale.engine.types import ROOT, KindName, Problem
from adascale.serve import stream
from adascale.serve.outcome import Outcome, outcome_of
from adascale.serve.request import Ask
from adascale.serve.stream import Part

SEARCH = SearchRequest("What?", is_searched=True)
REQUEST = Ask(SEARCH.problem("1"), SEARCH)
REPLY = Ask(SEARCH.problem("1"), replace(SEARCH, strategy=Greedy()))


def progress(events: Sequence[Event], request: Ask = REQUEST) -> list[Part | Outcome]:
    """The progress of events."""

    async def come() -> AsyncGenerator[Event, None]:
        for event in events:
            yield event

    async def run() -> list[Part | Outcome]:
        return [part async for part in stream.follow(come(), request)]

    return asyncio.run(run())


def text_of(parts: Sequence[Part | Outcome], kind: str) -> str:
    """The text of the parts of a kind."""
    return "".join(part.text for part in parts if isinstance(part, Part) and part.kind == kind)


def outcome_after(events: Sequence[Event], request: Ask = REQUEST) -> Outcome:
    """The outcome of a log."""
    return outcome_of(request, Answer.of(Record.of(events)))


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
    assert text_of(parts, "answer") == "It is 6."
    assert text_of(parts, "reasoning").strip() == "Is it 7?"
    assert outcome.usage.generated_tokens - outcome.reasoning_tokens == 5


def test_a_line_says_which_solution_says_what_and_why_it_ended() -> None:
    log = Log()
    log.step(ROOT, "First we\nadd.\n\n", 0.8)
    log.program("1/0", 0.3, error="Traceback:\nZeroDivisionError: division by zero")
    log.program("print(6)", 0.9, output="6", answer="6")
    log.finish_path(ROOT, "It is hard.", 0.2, None)
    log.end()
    lines = text_of(progress(log.events), "reasoning").splitlines()
    assert [line for line in lines if " leads: " not in line] == [
        "Solution 1: First we add. (80 % likely to be correct)",
        "Solution 2, a program, fails: ZeroDivisionError: division by zero",
        "Solution 3, a program, answers 6 (90 % likely to be correct)",
        "Solution 4, in words, has no answer",
    ]


@pytest.mark.parametrize(("p", "guess"), [(0.19, True), (0.7, False)])
@pytest.mark.parametrize(
    ("kind", "text", "end"), [("value", "so", "so\n\nAnswer: 5050"), ("fact", "5050", "5050")]
)
def test_a_guess_is_called_one(p: float, guess: bool, kind: KindName, text: str, end: str) -> None:
    log = Log("What is 1?", calibrated=True, kind=kind)
    log.finish_path(ROOT, text, (0.0, p, 0.9), "5050", tokens=9)
    log.end("budget")
    content = outcome_after(log.events).content
    said = "I don't know; this is the best guess.\n\n"
    assert content.replace(said, "") == end
    assert (said in content) is guess


IS_IT = SearchRequest("Is it?", is_searched=True)
OPTIONS_ASK = Ask(IS_IT.problem("1"), IS_IT)


@pytest.mark.parametrize(("problem", "content"), [(PLANETS, "B. Jupiter"), (PRIME, "No")])
def test_an_option_that_was_only_read_is_the_whole_reply(problem: Problem, content: str) -> None:
    record, _ = search_options(problem, 0.99)
    outcome = outcome_of(OPTIONS_ASK, Answer.of(record))
    assert (outcome.content, outcome.finish) == (content, "stop")
    assert outcome.usage.generated_tokens == 0
    assert outcome.summary["kind"] == problem.kind
    assert outcome.summary["probability"] == pytest.approx(0.99, abs=0.01)
    assert outcome.summary["support"][0].startswith(outcome.summary["band"])
    assert sum(outcome.summary["options"].values()) == pytest.approx(1.0)


def test_a_solution_is_shown_with_the_option_that_it_chose() -> None:
    record, _ = search_options(PLANETS, 0.5, "It is heavier.\nAnswer: B", Greedy())
    assert (
        outcome_of(OPTIONS_ASK, Answer.of(record)).content
        == "It is heavier.\nAnswer: B\n\nAnswer: B. Jupiter"
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(policy=EchoPolicy(echo)) as running:
        yield running


def streamed(server: Served, **body: Any) -> tuple[str, list[Any]]:
    """The content of a stream, and its chunks; ``[DONE]`` is no JSON."""
    chunks = server.stream(**body)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert ["role" in delta for delta in deltas] == [True, *[False] * (len(deltas) - 1)]
    assert "adascale" in chunks[-1]
    return "".join(delta.get("content") or "" for delta in deltas), chunks


@pytest.mark.parametrize(
    "more",
    [
        *({"reasoning_effort": "none", "stop": stop} for stop in ("boxed", ["zzz", " is"], "\n\n")),
        {"reasoning_effort": "low", "stop": "boxed"},
        {"messages": [say("Say something kind about 42")]},
        {"reasoning_effort": "high", "seed": 0},
        {"messages": [say("Echo 42, yes or no?")]},
    ],
    ids=str,
)
def test_a_stream_has_the_text_of_the_whole_answer(server: Served, more: dict[str, Any]) -> None:
    asked = {"seed": 1, **more}
    [whole] = server.ask(**asked)["choices"]
    found, chunks = streamed(server, **asked)
    assert found == whole["message"]["content"]
    assert found.startswith("We look at 42.")
    for stop in [more["stop"]] if isinstance(more.get("stop"), str) else more.get("stop", ()):
        assert stop not in found
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"] == "stop"


def test_one_solution_is_streamed_as_it_is_written(server: Served) -> None:
    _, chunks = streamed(server, reasoning_effort="none")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert sum(bool(delta.get("content")) for delta in deltas) > 3
    assert not any("reasoning" in delta for delta in deltas)


def test_the_object_of_the_result_agrees_with_the_usage(server: Served) -> None:
    found = server.ask(seed=1)
    message = found["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"]
    usage, summary = found["usage"], found["adascale"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]
    assert (summary["probability"], summary["calibration"], summary["seed"]) == (None, "none", 1)
    assert summary["groups"][0]["votes"] == summary["votes"]["agree"]
    assert summary["tokens"] == usage["completion_tokens"]
