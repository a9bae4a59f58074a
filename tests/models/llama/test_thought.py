"""Thoughts on tiny models: closed at their budget in the decode loop, and the answer always asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tiny
from event_logs import logs_of, ticking
from machine import opened, tokens_of

from adascale.engine.errors import ContextOverflowError, DecodeAbortedError
from adascale.engine.execution import Execution
from adascale.engine.ports import BranchStart, Prefix, PrefixWork, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import BranchGrew, Event, SearchFailed, SearchFinished, from_json, to_json
from adascale.engine.search.record import replay
from adascale.engine.search.settings import Settings
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Beam, Greedy, Strategy, Vote
from adascale.engine.types import BranchId, Mode, NodeId, Problem, Step, Until
from adascale.models.llama import policy as policies
from adascale.models.llama.branch import Job, Slot
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.llama.prefixes import evaluate_tokens
from adascale.models.llama.runtime import LlamaContext
from adascale.models.llama.sampling import Stream, Surprise
from adascale.models.llama.stepcost import StepCosts, even_width
from adascale.models.llama.thinking import (
    CLOSING,
    MIN_STEP,
    TAGS,
    Thinking,
    ThoughtFormat,
    ThoughtProgress,
    plan_thinking,
)
from adascale.models.options import SamplingParams
from bench.scripted import ScriptedExecutor

from . import architectures

TEMPLATES = {path.stem: path.read_text() for path in Path(__file__).parent.glob("templates/*.jinja")}
PROBLEM = Problem("p", "What is 9 * 2?")
CUT = f"{CLOSING}</think>\n\n"
AGAIN: Mapping[str, Mapping[str, float]] = {
    **tiny.THINKER_FOR_EVER,
    "\n": {tiny.THINK: 5.0},
    "\n\n": {tiny.THINK: 5.0},
}
"""Thinks again wherever an answer could begin."""

LAZY: Mapping[str, Mapping[str, float]] = {**tiny.THINKER, tiny.HMM: {tiny.END: 5.0}}
"""Ends its turn in the middle of its thought."""


@dataclass
class Thinker:
    """A policy over a tiny model that thinks."""

    policy: LlamaPolicy
    context: LlamaContext
    chat: ChatFormat

    def search(self, strategy: Strategy, problem: Problem = PROBLEM) -> list[Event]:
        return self.search_all(strategy, [problem])[problem.id]

    def search_all(self, strategy: Strategy, problems: list[Problem]) -> dict[str, list[Event]]:
        """Logs by problem."""
        ran = ScriptedExecutor(lambda program: Execution("18", "", 0.0))
        driver = Driver(self.policy, SequenceLogprob(), {}, ticking(), executor=ran)
        return logs_of(driver.run(problems, Settings(strategy, seed=7)))


Make = Callable[..., Thinker]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def build(
            chain: Mapping[str, Mapping[str, float]] = tiny.THINKER_FOR_EVER,
            template: str = "qwen3",
            think: int | None = 40,
            thinking: Thinking | None = None,
            path: Path | None = None,
            window: int = 1024,
            states: bool = False,
            even: bool = False,
        ) -> Thinker:
            template = TEMPLATES.get(template, template)
            path = path or tiny.write_chain(tmp_path / "thinker.gguf", chain, template=template)
            machine = stack.enter_context(opened(path))
            model = machine.model
            thinking = thinking or plan_thinking(model, think)
            assert thinking is not None
            if think is None:
                thinking = replace(thinking, budget=40)
            chats: dict[Mode, ChatFormat] = {
                "prose": ChatFormat(model, "Be brief.", thinking=thinking),
                "program": ChatFormat(model, "Code.", "```python\n", thinking),
            }
            policy, context = machine.policy(
                window=window,
                states=states,
                chats=chats,
                sampling=SamplingParams(max_tokens=64, think_tokens=thinking.budget),
                batching=even_width if even else StepCosts({}).partition,
            )
            return Thinker(policy, context, chats["prose"])

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
    [
        pytest.param(
            name, marks=() if name in ("qwen3", "deepseek-r1", "gemma4-minimal") else pytest.mark.slow
        )
        for name in sorted(TEMPLATES)
    ],
)
def test_no_trajectory_ends_without_the_answer_asked_for(
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


@pytest.mark.parametrize("think", [1, 40, 64, 130])
def test_a_thought_has_as_many_tokens_as_its_budget_and_what_closes_it(make: Make, think: int) -> None:
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


def test_a_thought_that_the_model_closes_is_left_as_it_is(make: Make) -> None:
    log = make(tiny.THINKER, think=400).search(Vote(4))
    tree = replay(log)
    assert answer(log) == "18"
    for end in ends(tree):
        assert thought_text(tree, end).endswith(tiny.DONE)
        assert tree.thoughts(end)[-1].thought == "whole"


@pytest.mark.parametrize("think", [40, None])
def test_the_end_of_a_turn_inside_a_thought_ends_the_thought_alone(make: Make, think: int | None) -> None:
    # Qwen3.5's template opens the thought, so that the model may think where it is left to it.
    log = make(LAZY, template="qwen3.5", think=think).search(Vote(2))
    tree = replay(log)
    assert answer(log) == "18"
    [end, *_] = ends(tree)
    assert thought_text(tree, end) == tiny.HMM + CUT


@pytest.mark.parametrize("think", [0, 40, None])
def test_a_model_that_thinks_again_and_again_comes_to_an_end(make: Make, think: int | None) -> None:
    thinker = make(AGAIN, template="lfm2.5-minimal", think=think)
    tree = replay(thinker.search(Vote(2)))
    assert thinker.chat.thoughts is not None
    assert len(ends(tree)) == 2
    for end in ends(tree):
        steps = tree.steps(end)
        assert (steps[0].thought, steps[-1].finish) == ("cut", "length")
        written = sum(len(step.token_ids) for step in steps)
        assert written <= 40 + 64 + 3 * len(thinker.chat.thoughts.cut)


def test_a_model_that_is_left_to_itself_may_think_or_answer(make: Make) -> None:
    chain = {**tiny.THINKER, "\n": {tiny.THINK: 1.0, tiny.RIGHT: 1.0}}
    tree = replay(make(chain, template="lfm2.5-minimal", think=None).search(Vote(8)))
    texts = [thought_text(tree, end) for end in ends(tree)]
    assert "" in texts
    assert any(text.startswith("<think>Hmm") and text.endswith("</think>") for text in texts)
    assert all(tree.text(end).strip() == tiny.RIGHT for end in ends(tree))


@pytest.mark.parametrize(("chain", "last"), [(tiny.THINKER_FOR_EVER, "cut"), (tiny.THINKER, "whole")])
def test_a_program_follows_the_thought(
    make: Make, chain: Mapping[str, Mapping[str, float]], last: str
) -> None:
    program, opened = "print(18)\n```", tiny.CHATML.replace("assistant\n", "assistant\n<think>")
    coder = {**chain, ">": {tiny.HMM: 5.0}, "\n": {program: 5.0}, program: {tiny.END: 5.0}}
    thinker = make(coder, f"{opened}{{# </think> #}}", think=200)
    log = thinker.search(Vote(3, modes=("program",)))
    tree = replay(log)
    assert answer(log) == "18"
    for end in ends(tree):
        assert tree.thoughts(end)[-1].thought == last
        assert thought_text(tree, end).startswith(tiny.HMM)
        assert tree.text(end) == f"```python\n{program}"


def test_every_token_of_a_tree_with_thoughts_is_evaluated_once(make: Make, tmp_path: Path) -> None:
    thinker = make(path=random_thinker(tmp_path), think=100)
    tree = replay(thinker.search(Beam(2, 2)))
    steps = [node.step for node in tree if node.step]
    assert any(step.thought == "cut" for step in steps)
    written = sum(len(step.token_ids) for step in steps)
    unread = sum(1 for node in tree if node.step and not tree.children(node.id))
    parents = [tuple(tokens_of(tree.steps(node.id))) for node in tree if node.step and tree.children(node.id)]
    shared = len(parents) - len(set(parents))  # children of equal siblings begin behind the same token
    assert thinker.context.evaluated_tokens == tree.usage().prompt_tokens + written - unread - shared
    assert tree.usage().generated_tokens == written


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gemma3", "lfm2", "qwen35", "mamba2"])
@pytest.mark.parametrize("strategy", [Vote(3), Beam(2, 2)])
def test_what_follows_a_thought_is_drawn_behind_it_with_every_architecture(
    make: Make, tmp_path: Path, name: str, strategy: Strategy
) -> None:
    """Running states and sliding windows too read the tokens that close a thought."""
    path = architectures.write(tmp_path / f"{name}.gguf", architectures.named(name))
    thinker = make(path=path, thinking=Thinking(TAGS[0], None, True, 40), window=512)
    tree = replay(thinker.search(strategy))
    checked = 0
    for end in ends(tree)[:3]:
        steps = tree.steps(end)
        assert [step.thought for step in steps if step.thought] == ["cut"]
        prompt = thinker.chat.prompt(PROBLEM.question)
        with opened(path) as machine:
            logprobs = machine.logprobs_one_by_one([*prompt, *tokens_of(steps)])
        at = len(prompt) - 1
        for step in steps:
            own = logprobs[at : at + len(step.token_ids)]
            at += len(step.token_ids)
            if not step.is_thought:
                assert step.logprob == pytest.approx(sum(own), abs=2e-2)
                checked += 1
    assert checked > 0


def random_thinker(tmp_path: Path) -> Path:
    return tiny.write_random(tmp_path / "random.gguf", context=1024, template=TEMPLATES["qwen3.5"])


@pytest.mark.slow
def test_at_an_even_width_the_thoughts_of_neighbours_change_nothing(make: Make, tmp_path: Path) -> None:
    """Closing one branch's thought is a run of its own, and leaves the batches of the others as they are."""
    problems = [PROBLEM, Problem("a", "What is 1 + 1?"), Problem("b", "Hm?")]
    path = random_thinker(tmp_path)
    together = make(path=path, think=50, even=True).search_all(Vote(3), problems)
    for problem in problems:
        alone = replay(make(path=path, think=50, even=True).search(Vote(3), problem))
        found = replay(together[problem.id])
        assert any(node.step and node.step.thought == "cut" for node in found)
        assert drawn(found) == drawn(alone)


def drawn(tree: Tree) -> list[tuple[tuple[int, ...], float]]:
    """Tokens and log-probability of each step; nodes are numbered as they finish."""
    return sorted((node.step.token_ids, node.step.logprob) for node in tree if node.step)


@pytest.mark.parametrize("chain", [tiny.THINKER_FOR_EVER, LAZY])
def test_each_step_of_a_thought_has_a_reading(make: Make, chain: Mapping[str, Mapping[str, float]]) -> None:
    tree = replay(make(chain, think=1, states=True).search(Vote(2)))
    steps = [node.step for node in tree if node.step]
    assert any(step.is_thought for step in steps)
    assert all(step.reading is not None for step in steps)


def test_a_search_that_thinks_is_the_same_when_it_is_read_from_its_trace(make: Make) -> None:
    log = make(think=100).search(Vote(2))
    assert replay([from_json(to_json(event)) for event in log]) == replay(log)
    growing = [event for event in log if isinstance(event, BranchGrew)]
    assert any(event.thinks and "Hmm" in event.text for event in growing)
    assert not any("Hmm" in event.text for event in growing if not event.thinks)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (("\n", "<", "think>", "Hm"), [True, True, True, True]),
        (("\n", "<", "b>", "Hm"), [True, True, False, False]),
        (("It", " is"), [False, False]),
    ],
)
def test_text_may_be_of_a_thought_while_it_may_become_the_tag(
    pieces: tuple[str, ...], expected: list[bool]
) -> None:
    form = ThoughtFormat(b"<think>", b"</think>", is_open=False, cut=(), cut_text=b"")
    job = Job(
        BranchId(0),
        BranchStart(Prefix(PROBLEM), 0),
        (1,),
        (1,),
        1,
        Stream(0),
        SamplingParams(),
        thought=ThoughtProgress(form, 40, ()),
    )
    slot = Slot(job, [1], [], PrefixWork())
    found = []
    for piece in pieces:
        slot.push(2, piece.encode(), Surprise(0.0, 0.0), None)
        found.append(slot.may_think)
    job.stream.close()
    assert found == expected


def test_a_question_that_leaves_no_room_for_the_thought_is_refused(make: Make) -> None:
    long = Problem("long", "word " * 80)
    assert isinstance(make(think=40).search(Greedy(), long)[-1], SearchFinished)
    last = make(think=400).search(Greedy(), long)[-1]
    assert isinstance(last, SearchFailed)
    error = last.error()
    assert isinstance(error, ContextOverflowError)
    assert "for the thought and 256 tokens must stay free" in error.facts[0]
    assert error.hint.startswith("`ctx_size=1280`")


def test_a_cancelled_thought_is_a_part_of_one(make: Make) -> None:
    thinker = make(think=300)
    thinker.policy.open(PROBLEM)
    thinker.policy.start(BranchId(0), BranchStart(Prefix(PROBLEM), 1, "answer", greedy=False))
    for _ in range(5):
        thinker.policy.advance()
    partial = thinker.policy.cancel(BranchId(0))
    assert isinstance(partial, Step)
    assert (partial.thought, partial.finish) == ("part", "length")


def test_an_abort_behind_two_thoughts_leaves_both_branches_to_be_cancelled(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end their thoughts in one batch, and the abort comes while the second is being closed."""
    thinker = make(think=1)
    policy, seen = thinker.policy, list[int]()

    def abort_second(context: LlamaContext, sequence: int, start: int, tokens: Sequence[int]) -> int:
        seen.append(sequence)
        if len(seen) == 2:
            raise DecodeAbortedError("the decode was stopped")
        return evaluate_tokens(context, sequence, start, tokens)

    policy.open(PROBLEM)
    untils: Sequence[Until] = ("answer", "step")
    for number, until in enumerate(untils, start=1):
        policy.start(BranchId(number), BranchStart(Prefix(PROBLEM), 1, until, True))
    monkeypatch.setattr(policies, "evaluate_tokens", abort_second)
    with pytest.raises(DecodeAbortedError):
        list(iter(policy.advance, []))
    assert len(seen) == 2
    assert [policy.cancel(BranchId(number)) for number in (1, 2)] == [None, None]
