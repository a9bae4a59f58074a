"""Prompts of models that think, and thoughts on tiny models: closed at their budget, the answer asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tiny
from machine import opened, text_of, tokens_of
from scripted import ticking, usage_of

from adascale.engine.errors import ContextOverflowError, UsageError
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, SearchFailed, SearchFinished
from adascale.engine.search.record import replay
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Beam, Greedy, Strategy, Vote
from adascale.engine.types import NodeId, Problem, Turn
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.context import LlamaContext
from adascale.models.llama.model import LlamaModel
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.llama.thinking import (
    CLOSING,
    MIN_STEP,
    plan_thinking,
    room_for_thoughts,
)
from adascale.models.options import THINK_TOKENS, SamplingParams

TEMPLATES = {path.stem: path.read_text() for path in Path(__file__).parent.glob("templates/*.jinja")}

OPEN, EMPTY = "<think>\n", "<think>\n\n</think>\n\n"

PROMPT_ENDS = {
    # the prompt's end with thinking on, off, and left to the model
    "qwen3": (OPEN, EMPTY, ""),
    "qwen3.5": (OPEN, EMPTY, OPEN),
    "smollm3": (OPEN, "<think>\n\n</think>\n", ""),
    "minicpm5": (OPEN, EMPTY, ""),
    "deepseek-r1": (OPEN, EMPTY, OPEN),
    "lfm2.5-minimal": (OPEN, "", ""),
    "gemma4-minimal": (
        "<|channel>thought\n",
        "<|channel>thought\n<channel|>",
        "<|channel>thought\n<channel|>",
    ),
    "dead-switch-minimal": (OPEN, EMPTY, OPEN),
}


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LlamaModel]:
    """A chain with the template of that name, or with another text where it is none."""
    template = TEMPLATES.get(request.param, request.param)
    with closing(LlamaModel(tiny.write_chain(tmp_path / "tiny.gguf", template=template))) as opened:
        yield opened


@pytest.mark.parametrize("think", [512, 0, None], ids=["on", "off", "auto"])
@pytest.mark.parametrize(("model", "name"), [(name, name) for name in PROMPT_ENDS], indirect=["model"])
def test_a_prompt_opens_or_closes_a_thought_or_leaves_it_to_the_model(
    model: LlamaModel, name: str, think: int | None
) -> None:
    expected = PROMPT_ENDS[name][(512, 0, None).index(think)]
    thinking = plan_thinking(model, think)
    assert thinking is not None
    assert thinking.budget == (THINK_TOKENS if think is None else think)
    chat = ChatFormat(model, "Be brief.", thinking=thinking)
    text = text_of(model, chat.tail)
    assert text.endswith(expected)
    assert text.count(thinking.tags.opening) == (expected != "")
    assert chat.thoughts is not None
    assert chat.thoughts.is_open == (expected in (OPEN, "<|channel>thought\n"))
    # A conversation is rendered by itself, and ends in the same way.
    history = (Turn("user", "Hello."), Turn("assistant", "Hi."))
    assert text_of(model, chat.prompt("What is twice 9?", history)).endswith(text)


@pytest.mark.parametrize("model", [tiny.CHATML], indirect=True)
def test_a_template_without_thoughts_is_unchanged_and_refuses_to_think(model: LlamaModel) -> None:
    assert plan_thinking(model, 0) is None
    assert plan_thinking(model, None) is None
    assert ChatFormat(model, "Be brief.").thoughts is None
    with pytest.raises(UsageError, match=r"tiny\.gguf is no model that thinks") as caught:
        plan_thinking(model, 256)
    assert caught.value.hint == "`think=0`"


def test_a_program_is_opened_behind_the_thought(tmp_path: Path) -> None:
    path = tiny.write_chain(tmp_path / "tiny.gguf", template=TEMPLATES["qwen3"])
    with closing(LlamaModel(path)) as model:
        off, on = (
            ChatFormat(model, "Code.", "```python\n", plan_thinking(model, think)) for think in (0, 256)
        )
        assert text_of(model, off.tail).endswith("</think>\n\n```python\n")
        assert text_of(model, on.tail).endswith("<think>\n")
        assert on.thoughts is not None
        assert text_of(model, on.thoughts.lead) == "\n\n```python\n"
        assert text_of(model, on.thoughts.cut).endswith("</think>\n\n```python\n")
        assert on.thoughts.following("cut")[1].endswith(b"</think>\n\n")


def test_a_window_has_room_for_thoughts() -> None:
    assert room_for_thoughts(700, tiny.CHATML) == 700
    assert room_for_thoughts(0, TEMPLATES["qwen3"]) == 0
    assert room_for_thoughts(None, TEMPLATES["qwen3"]) == THINK_TOKENS
    assert room_for_thoughts(None, tiny.CHATML) == 0


PROBLEM = Problem("p", "What is twice 9?")
CUT = f"{CLOSING}</think>\n\n"
AGAIN: Mapping[str, Mapping[str, float]] = {
    **tiny.THINKER_FOR_EVER,
    "\n": {tiny.THINK: 5.0},
    "\n\n": {tiny.THINK: 5.0},
}
"""Thinks again wherever an answer could begin."""


@dataclass
class Thinker:
    """A policy over a tiny model that thinks."""

    policy: LlamaPolicy
    context: LlamaContext
    chat: ChatFormat

    def search(self, strategy: Strategy, problem: Problem = PROBLEM) -> list[Event]:
        driver = Driver(self.policy, SequenceLogprob(), {}, ticking())
        return [event for _, event in driver.run([problem], Settings(strategy, seed=7))]


Make = Callable[..., Thinker]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def build(
            chain: Mapping[str, Mapping[str, float]] = tiny.THINKER_FOR_EVER,
            template: str = "qwen3",
            think: int | None = 40,
            path: Path | None = None,
        ) -> Thinker:
            template = TEMPLATES.get(template, template)
            path = path or tiny.write_chain(tmp_path / "thinker.gguf", chain, template=template)
            machine = stack.enter_context(opened(path))
            thinking = plan_thinking(machine.model, think)
            assert thinking is not None
            if think is None:
                thinking = replace(thinking, budget=40)
            chat = ChatFormat(machine.model, "Be brief.", thinking=thinking)
            sampling = SamplingParams(max_tokens=64, think_tokens=thinking.budget)
            policy, context = machine.policy(window=1024, chats={"prose": chat}, sampling=sampling)
            return Thinker(policy, context, chat)

        yield build


def ends(tree: Tree) -> list[NodeId]:
    return [node.id for node in tree if node.status == "terminal"]


def thought_text(tree: Tree, end: NodeId) -> str:
    return "".join(step.text for step in tree.thoughts(end))


def answer(log: list[Event]) -> str | None:
    assert isinstance(log[-1], SearchFinished)
    return log[-1].result.answer


@pytest.mark.parametrize("think", [0, 40, None])
@pytest.mark.parametrize(
    "template",
    ["qwen3", "deepseek-r1", "gemma4-minimal"],
)
def test_every_solution_has_an_answer_behind_its_thoughts(
    make: Make, template: str, think: int | None
) -> None:
    """The chain opens a thought wherever it can, thinks for ever, and says there what is wrong."""
    chain = {**tiny.THINKER_FOR_EVER, "\n": {tiny.THINK: 5.0}, ">": {tiny.RIGHT: 5.0}}
    log = make(chain, template, think).search(Vote(2))
    tree = replay(log)
    assert answer(log) == "18"
    assert len(ends(tree)) == 2
    for end in ends(tree):
        assert tree.text(end).strip() == tiny.RIGHT
        last = [step.thought for step in tree.steps(end)][-2:]
        assert last in ([None], ["cut", None])


@pytest.mark.parametrize("think", [1, 64, 130])
def test_a_thought_has_the_tokens_of_its_budget_and_of_its_end(make: Make, think: int) -> None:
    thinker = make(think=think)
    tree = replay(thinker.search(Vote(2)))
    assert thinker.chat.thoughts is not None
    assert len(ends(tree)) == 2
    for end in ends(tree):
        steps = tree.thoughts(end)
        assert sum(len(step.token_ids) for step in steps) == think + len(thinker.chat.thoughts.cut)
        assert thought_text(tree, end) == tiny.HMM * think + CUT
        assert [step.thought for step in steps] == ["part"] * ((think - 1) // MIN_STEP) + ["cut"]
        assert all(len(step.token_ids) >= MIN_STEP for step in steps[:-1])


def test_a_thought_that_the_model_closes_is_unchanged(make: Make) -> None:
    log = make(tiny.THINKER, think=400).search(Vote(4))
    tree = replay(log)
    assert answer(log) == "18"
    for end in ends(tree):
        assert thought_text(tree, end).endswith(tiny.DONE)
        assert tree.thoughts(end)[-1].thought == "whole"


@pytest.mark.parametrize("think", [0, None])
def test_repeated_thoughts_end_with_length(make: Make, think: int | None) -> None:
    thinker = make(AGAIN, template="lfm2.5-minimal", think=think)
    tree = replay(thinker.search(Vote(2)))
    assert thinker.chat.thoughts is not None
    assert len(ends(tree)) == 2
    for end in ends(tree):
        steps = tree.steps(end)
        assert (steps[0].thought, steps[-1].finish) == ("cut", "length")
        written = sum(len(step.token_ids) for step in steps)
        assert written <= 40 + 64 + 3 * len(thinker.chat.thoughts.cut)


def test_every_token_of_a_tree_with_thoughts_is_evaluated_once(make: Make, tmp_path: Path) -> None:
    path = tiny.write_random(tmp_path / "random.gguf", context=1024, template=TEMPLATES["qwen3.5"])
    thinker = make(path=path, think=100)
    tree = replay(thinker.search(Beam(2, 2)))
    steps = [node.step for node in tree if node.step]
    assert any(step.thought == "cut" for step in steps)
    written = sum(len(step.token_ids) for step in steps)
    unread = sum(1 for node in tree if node.step and not tree.children(node.id))
    parents = [tuple(tokens_of(tree.steps(node.id))) for node in tree if node.step and tree.children(node.id)]
    shared = len(parents) - len(set(parents))  # children of equal siblings begin behind the same token
    assert thinker.context.evaluated_tokens == usage_of(tree).prompt_tokens + written - unread - shared
    assert usage_of(tree).generated_tokens == written


def test_a_question_that_leaves_no_room_for_the_thought_is_refused(make: Make) -> None:
    long = Problem("long", "word " * 80)
    assert isinstance(make(think=40).search(Greedy(), long)[-1], SearchFinished)
    last = make(think=400).search(Greedy(), long)[-1]
    assert isinstance(last, SearchFailed)
    error = last.error()
    assert isinstance(error, ContextOverflowError)
    assert "must stay free for thought and answer" in error.facts[0]
    assert error.hint.startswith("`ctx_size=1280`")
