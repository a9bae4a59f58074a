"""The policy on tiny models: every token once, same text after a dropped prefix, honest ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiny
from machine import opened
from scripted import logs_of, ticking, usage_of

from adascale.engine.answer import turns_after
from adascale.engine.errors import ContextOverflowError
from adascale.engine.kinds import OptionsPrompt
from adascale.engine.ports import BranchStart, Prefix, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import BranchGrew, Event, SearchFinished
from adascale.engine.search.record import Record, replay
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import strategy_named
from adascale.engine.types import ROOT, BranchId, KindName, Problem, SamplingChange, Step, Turn
from adascale.models.llama.context import LlamaContext
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.llama.stepcost import StepCosts
from adascale.models.options import SamplingParams

PROBLEM = Problem("p", "What is 9 * 2?")
Make = Callable[..., tuple[LlamaPolicy, LlamaContext]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Open a policy over a file; everything is closed afterwards."""
    with ExitStack() as stack:
        yield lambda path, *args, **options: stack.enter_context(opened(path)).policy(*args, **options)


def search(
    policy: LlamaPolicy, strategy: str, problems: list[Problem], **params: int
) -> dict[str, list[Event]]:
    driver = Driver(policy, SequenceLogprob(), {}, ticking())
    settings = Settings(strategy_named(strategy, **params), seed=7)
    return logs_of(driver.run(problems, settings))


def steps_drawn(
    policy: LlamaPolicy, *branches: BranchStart, between: Callable[[], None] = lambda: None
) -> list[Step]:
    """Steps of branches of ``PROBLEM`` until all have ended."""
    policy.open(PROBLEM)
    for number, branch in enumerate(branches):
        policy.start(BranchId(number), branch)
    steps: list[Step] = []
    while growths := policy.advance():
        steps += [growth.step for growth in growths if growth.step.finish]
        between()
    return steps


def tree_tokens(tree: Tree) -> int:
    return sum(len(node.step.token_ids) for node in tree if node.step)


def unevaluated(tree: Tree) -> int:
    """Last tokens that nothing was sampled behind: of answers, and of steps never expanded."""
    return sum(1 for node in tree if node.step and not tree.children(node.id))


@pytest.mark.parametrize(
    ("strategy", "params"),
    [("vote", {"samples": 9}), ("beam", {"beams": 2, "branching": 2})],
)
def test_every_unique_token_of_the_tree_is_evaluated_once(
    make: Make, random_gguf: Path, strategy: str, params: dict[str, int]
) -> None:
    policy, context = make(random_gguf)
    log = search(policy, strategy, [PROBLEM], **params)["p"]
    tree = replay(log)
    prompt = usage_of(tree).prompt_tokens
    assert max(node.depth for node in tree) > 2
    assert context.evaluated_tokens == prompt + tree_tokens(tree) - unevaluated(tree)
    assert usage_of(tree).generated_tokens == tree_tokens(tree)


def test_padded_and_split_batches_change_nothing(make: Make, random_gguf: Path) -> None:
    plain, _ = make(random_gguf, slots=6)
    expected = replay(search(plain, "vote", [PROBLEM], samples=5)["p"])
    curve = {1: 1.0, 2: 1.1, 3: 9.0, 4: 1.2, 5: 20.0, 6: 30.0}
    odd, _ = make(random_gguf, slots=6, costs=StepCosts(curve))
    found = replay(search(odd, "vote", [PROBLEM], samples=5)["p"])
    assert [found.text(n.id) for n in found] == [expected.text(n.id) for n in expected]


def test_a_prompt_is_evaluated_while_all_sequences_are_busy(make: Make, random_gguf: Path) -> None:
    def drawn(*others: Problem) -> set[tuple[int, ...]]:
        policy, _ = make(random_gguf, slots=2)
        branches = [BranchStart(Prefix(PROBLEM), seed, "answer") for seed in range(2)]
        opening = iter(others)
        steps = steps_drawn(policy, *branches, between=lambda: [policy.open(next(opening, PROBLEM))])
        return {step.token_ids for step in steps}

    assert drawn(Problem("q", "And 8 * 3?"), Problem("r", "Or 7?")) == drawn()


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A model that writes one word for ever."""
    return tiny.write_chain(tmp_path / "endless.gguf", {"\n": {tiny.ADD: 1.0}, tiny.ADD: {tiny.ADD: 1.0}})


def test_a_full_window_ends_branches_with_length(make: Make, endless: Path) -> None:
    policy, context = make(endless, sampling=SamplingParams(max_tokens=10_000))
    log = search(policy, "vote", [Problem("p", "x" * 200)], samples=2)["p"]
    tree = replay(log)
    ends = [node for node in tree if node.status == "terminal"]
    assert [node.step.finish for node in ends if node.step] == ["length", "length"]
    for node in ends:
        sampled = sum(len(step.token_ids) for step in tree.steps(node.id))
        assert usage_of(tree).prompt_tokens + sampled == context.window
    last = log[-1]
    assert isinstance(last, SearchFinished)
    assert (last.result.answer, last.result.best) == (None, None)


def test_a_question_longer_than_the_window_is_refused_with_both_numbers(
    make: Make, random_gguf: Path
) -> None:
    policy, _ = make(random_gguf)
    with pytest.raises(
        ContextOverflowError, match=r"the question has 6\d\d tokens or more, the context has room for 512"
    ) as caught:
        policy.open(Problem("long", "word " * 120))
    assert "the model allows 512 tokens" in caught.value.facts
    assert "another model" in caught.value.hint
    with pytest.raises(ContextOverflowError, match=r"has 3,\d\d\d tokens or more"):  # without reading it
        policy.open(Problem("huge", "x" * 1_000_000))


def said(policy: LlamaPolicy, conversation: list[Turn], message: str, kind: KindName = "text") -> Record:
    """Search the next message of a conversation, and add it with its reply."""
    problem = Problem(str(len(conversation)), message, history=tuple(conversation), kind=kind)
    record = Record.of(search(policy, "vote", [problem], samples=1)[problem.id])
    conversation[:] = turns_after(record)
    return record


@pytest.mark.parametrize(
    ("kinds", "goes_on_from"), [(["text"] * 5, 3), (["text", "value"] * 2 + ["text"], 2)]
)
def test_a_turn_evaluates_only_new_tokens(
    make: Make, tmp_path: Path, kinds: list[KindName], goes_on_from: int
) -> None:
    reply = {"\n": {"O": 3.0}, "O": {"k": 3.0}, "k": {tiny.END: 3.0}}
    policy, context = make(tiny.write_chain(tmp_path / "ok.gguf", reply), window=1024)
    conversation: list[Turn] = []
    prompts: list[int] = []
    for turn, kind in enumerate(kinds):
        before = context.evaluated_tokens
        record = said(policy, conversation, f"How far is number {turn}?", kind)
        read = record.tree[ROOT].usage
        prompts.append(read.prompt_tokens + read.reused_tokens)
    known = prompts[goes_on_from] + (len("Ok") if kinds[goes_on_from] == "text" else 0)
    assert read.prompt_tokens == prompts[-1] - known
    assert context.evaluated_tokens - before == read.prompt_tokens + len("Ok")


def test_a_turn_reuses_an_interrupted_reply(make: Make, tmp_path: Path) -> None:
    endless = {"\n": {"O": 3.0}, "O": {"k": 3.0}, "k": {"O": 3.0}}
    policy, _ = make(tiny.write_chain(tmp_path / "endless.gguf", endless))
    driver = Driver(policy, SequenceLogprob(), {}, ticking())
    problem = Problem("a", "How far?", kind="text")
    events = []
    for _, event in driver.run([problem], Settings(strategy_named("vote", samples=1), seed=7)):
        events.append(event)
        if isinstance(event, BranchGrew) and event.tokens > 5:
            driver.interrupt()
    record = Record.of(events)
    written = tree_tokens(record.tree)
    assert written > 5
    second = policy.open(Problem("b", "And?", history=turns_after(record), kind="text"))
    assert second.reused_tokens == record.usage.prompt_tokens + written - 1  # the last one was not read


def test_option_prompts_of_one_question_share_tokens_without_changing_numbers(
    make: Make, random_gguf: Path
) -> None:
    looks = [
        OptionsPrompt("prose", f"What is as far as it is near, {end}?", ("Yes", "No")) for end in ("A", "B")
    ]
    policy, context = make(random_gguf)
    first, second = (policy.option_logits(asked, PROBLEM) for asked in looks)
    assert second.evaluated_tokens < 30 < first.evaluated_tokens
    assert second.evaluated_tokens + second.reused_tokens == first.evaluated_tokens
    assert context.evaluated_tokens == first.evaluated_tokens + second.evaluated_tokens
    others = [policy.option_logits(looks[1], Problem(name, "?")) for name in ("other", "another")]
    assert others[0] == others[1]
    assert others[0].reused_tokens < second.reused_tokens
    assert others[0].log_probs == pytest.approx(second.log_probs, abs=1e-4)


def test_draws_do_not_depend_on_earlier_turns(make: Make, random_gguf: Path) -> None:
    first = Problem("a", "a", kind="text")
    second = Problem("b", "c", history=(Turn("user", "a"), Turn("assistant", "b")), kind="text")

    def drawn(*turns: Problem) -> list[tuple[int, ...]]:
        policy, _ = make(random_gguf)
        logs = [search(policy, "vote", [turn], samples=1) for turn in turns]
        return [node.step.token_ids for node in replay(logs[-1]["b"]) if node.step is not None]

    assert drawn(first, second) == drawn(second)


def test_branches_of_one_batch_have_their_own_samplers(make: Make, random_gguf: Path) -> None:
    policy, context = make(random_gguf)
    tokens = [context.model.tokenize(word, special=False)[0] for word in "ab"]
    changes = [
        SamplingChange(logit_bias=((token, 100.0),), max_tokens=3 + n) for n, token in enumerate(tokens)
    ]
    branches = [BranchStart(Prefix(PROBLEM), 1, "answer", False, change) for change in changes]
    steps = [(step.token_ids, step.finish) for step in steps_drawn(policy, *branches)]
    assert steps == [((token,) * (3 + n), "length") for n, token in enumerate(tokens)]


def test_a_chat_reply_has_its_own_sampler(make: Make, endless: Path) -> None:
    policy, _ = make(endless, text=SamplingParams(max_tokens=20), sampling=SamplingParams(max_tokens=9))
    for problem, tokens in ((PROBLEM, 9), (Problem("c", "a", kind="text"), 20)):
        [log] = search(policy, "greedy", [problem]).values()
        assert tree_tokens(replay(log)) == tokens


@pytest.mark.parametrize(("most", "tokens"), [(4, 4), (20, 9)])
def test_a_branch_has_its_own_limit_below_the_samplers(
    make: Make, endless: Path, most: int, tokens: int
) -> None:
    policy, _ = make(endless, sampling=SamplingParams(max_tokens=9))
    steps = steps_drawn(policy, BranchStart(Prefix(PROBLEM), 1, "answer", max_tokens=most))
    assert (sum(len(step.token_ids) for step in steps), steps[-1].finish) == (tokens, "length")


def test_a_greedy_branch_uses_the_samplers_greedy_temperature(make: Make, random_gguf: Path) -> None:
    def drawn(greedy: float, seed: int) -> list[tuple[int, ...]]:
        policy, _ = make(random_gguf, sampling=SamplingParams(max_tokens=9, greedy=greedy))
        return [
            step.token_ids for step in steps_drawn(policy, BranchStart(Prefix(PROBLEM), seed, "answer", True))
        ]

    assert drawn(0.0, 1) == drawn(0.0, 2)
    assert drawn(1.0, 1) != drawn(1.0, 2)


def test_log_probabilities_are_without_penalties(random_gguf: Path) -> None:
    params = SamplingParams(max_tokens=48, presence_penalty=3.0, repeat_penalty=1.5)
    with opened(random_gguf) as machine:
        assert machine.check_logprobs(PROBLEM, strategy_named("vote", samples=3), sampling=params) > 1


def test_a_growth_has_the_unfinished_step_and_a_cancelled_branch_has_none(
    make: Make, chain_gguf: Path
) -> None:
    policy, _ = make(chain_gguf)
    policy.open(PROBLEM)
    branch = BranchId(1)
    policy.start(branch, BranchStart(Prefix(PROBLEM), 1, "answer", True))
    written = [policy.advance()[0].step for _ in range(3)]
    assert [(step.text, step.finish) for step in written] == [
        (tiny.ADD, "step"),
        (tiny.MULTIPLY, "step"),
        (tiny.RIGHT, None),
    ]
    policy.cancel(branch)
    assert policy.advance() == []


@pytest.mark.parametrize("park_steps", [True, False])
def test_redraws_of_a_one_token_step_evaluate_nothing_again(
    make: Make, chain_gguf: Path, park_steps: bool
) -> None:
    policy, context = make(chain_gguf, park_steps=park_steps)
    policy.open(PROBLEM)
    prompt = context.evaluated_tokens
    numbers = itertools.count(1)

    def draw(*steps: Step) -> Step:
        policy.start(BranchId(next(numbers)), BranchStart(Prefix(PROBLEM, steps), 1, "step", True))
        [growth] = policy.advance()
        assert growth.step.finish == "step"
        assert len(growth.step.token_ids) == 1
        assert growth.prefix.evaluated_tokens == 0
        return growth.step

    first = draw()
    draw(first)
    assert context.evaluated_tokens == prompt + 1
    draw(first)
    draw()
    assert context.evaluated_tokens == prompt + 1
