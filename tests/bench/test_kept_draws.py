"""Draws that are kept: played back as they were drawn, and the same whatever was kept before."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from scripted import ScriptedExecutor, ScriptedPolicy, ended, logs_of, scripted_step, sized, ticking

from adascale.engine.ports import BranchStart, Prefix, PrefixWork, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event
from adascale.engine.search.record import replay
from adascale.engine.strategies import STRATEGIES, Vote
from adascale.engine.types import BranchId, Execution, Problem, Reading, Step
from bench.kept_draws import DrawStore, ReplayingPolicy, draw_key

PROBLEMS = [Problem(f"q{i}", f"What is twice {i}?", "18") for i in range(5)]
SMALL = {"samples": 6, "beams": 2, "branching": 2}
EVERY = sorted(STRATEGIES)


def script(prefix: Prefix, rng: random.Random) -> Step:
    if len(prefix.steps) >= rng.randint(1, 3):
        return scripted_step(rng.choice(["Answer: 18.", "Answer: 20."]), "stop", -rng.random())
    return scripted_step(
        rng.choice(["add\n\n", "multiply by it\n\n", "2 + 2 = 5\n\n"]), "step", -rng.random()
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DrawStore]:
    with closing(DrawStore(tmp_path / "draws" / "x.jsonl")) as opened:
        yield opened


def run(
    strategy: str, store: DrawStore, problems: Sequence[Problem] = PROBLEMS, slots: int = 3, at_once: int = 4
) -> tuple[dict[str, list[Event]], ReplayingPolicy]:
    policy = ReplayingPolicy(ScriptedPolicy(script, slots), store, lambda branches: 1.0 + branches)
    executor = ScriptedExecutor(lambda program: Execution("18", "", 0.0), waits=True)
    driver = Driver(policy, SequenceLogprob(), {}, lambda: 0.0, executor=executor)
    logs = logs_of(driver.run(problems, Settings(sized(strategy, **SMALL), seed=5), at_once))
    return logs, policy


@pytest.mark.parametrize("strategy", EVERY)
def test_nothing_is_drawn_twice_and_all_goes_as_before(strategy: str, store: DrawStore) -> None:
    first, drew = run(strategy, store)
    again, replayed = run(strategy, store)
    assert drew.drawn_tokens > 0
    assert replayed.drawn_tokens == 0
    assert again == first


@pytest.mark.parametrize("strategy", EVERY)
def test_what_was_kept_before_and_who_else_is_asked_change_nothing(
    strategy: str, store: DrawStore, tmp_path: Path
) -> None:
    for other in ("vote", "beam"):
        run(other, store, PROBLEMS[:3])
    after, _ = run(strategy, store)
    with closing(DrawStore(tmp_path / "fresh.jsonl")) as fresh:
        alone, _ = run(strategy, fresh, slots=1, at_once=1)
    assert after == alone


def test_a_replay_draws_what_the_generator_itself_draws(store: DrawStore) -> None:
    logs, _ = run("vote", store)
    driver = Driver(ScriptedPolicy(script, 8), SequenceLogprob(), {}, ticking())
    live = logs_of(driver.run(PROBLEMS, Settings(Vote(6), seed=5)))
    for id_, log in logs.items():
        a, b = (sorted(tree.text(node.id) for node in tree) for tree in (replay(log), replay(live[id_])))
        assert a == b
        assert ended(log).usage.generated_tokens == ended(live[id_]).usage.generated_tokens


@pytest.mark.parametrize("most", [3, 4, 6, 8, 20])
def test_a_draw_is_kept_whole_and_read_as_far_as_its_branch_may_go(store: DrawStore, most: int) -> None:
    def three_steps(prefix: Prefix, rng: random.Random) -> Step:
        at = len(prefix.steps)
        return replace(scripted_step("abcd", "stop" if at == 2 else "step"), thought=None if at else "part")

    def texts(most: int | None) -> list[tuple[str, str]]:
        policy = ReplayingPolicy(ScriptedPolicy(three_steps, 4), store, lambda branches: 1.0)
        policy.open(PROBLEMS[0])
        policy.start(BranchId(0), BranchStart(Prefix(PROBLEMS[0]), 1, "answer", False, max_tokens=most))
        found = [("", "step")]
        while found[-1][1] == "step":
            found += [(g.step.text, g.step.finish) for g in policy.advance() if g.step.finish]
        return found[1:]

    whole = [("abcd", "step"), ("abcd", "step"), ("abcd", "stop")]
    end = {3: [("abc", "length")], 4: [("abcd", "length")], 6: [whole[1], ("ab", "length")]}
    assert texts(most) == [whole[0], *end.get(most, whole[1:])]
    assert texts(None) == whole


def test_what_is_kept_comes_back_as_it_was(store: DrawStore) -> None:
    rng = np.random.default_rng(0)

    def reading() -> Reading:
        last, mean = (rng.normal(size=6).astype(np.float16).astype(np.float32) for _ in range(2))
        return Reading(last, mean, -1.5, 0.25)

    steps = (
        replace(scripted_step("so", "step", -0.5), thought="part", reading=reading()),
        replace(scripted_step("far\n\n", "step", -0.5), thought="cut", reading=reading()),
        replace(scripted_step("né\n\n", "step", -1.25), reading=reading()),
        replace(scripted_step("18", "stop", -0.1), reading=reading()),
    )
    store.put("k", steps)
    assert store.get("k") == steps
    for a, b in zip(store.get("k"), steps, strict=True):
        assert a.reading is not None
        assert b.reading is not None
        for one, other in zip(astuple(a.reading), astuple(b.reading), strict=True):
            assert np.array_equal(one, other)
    store.put("k", steps[:1])
    assert store.get("k") == steps
    for kept in (2, 1, 3):
        store.put("begun", steps[:kept])
        assert store.get("begun") == steps[: max(kept, 2)]
    assert store.get("none") == ()
    store.put_prompt(PROBLEMS[0], "prose", PrefixWork(12))
    assert store.prompt(PROBLEMS[0], "prose") == PrefixWork(12)
    assert store.prompt(PROBLEMS[0], "program") is None
    assert store.prompt(PROBLEMS[1], "prose") is None


def test_a_draw_is_known_by_its_question_its_prefix_and_its_seed() -> None:
    base = Prefix(PROBLEMS[0], (scripted_step("a\n\n"),))
    others = [
        draw_key(Prefix(PROBLEMS[1], base.steps), 1, False),
        draw_key(Prefix(PROBLEMS[0]), 1, False),
        draw_key(Prefix(PROBLEMS[0], (scripted_step("b\n\n"),)), 1, False),
        *(draw_key(Prefix(PROBLEMS[0], (Step(text, (0,), -1.0, "step"),)), 1, False) for text in "ab"),
        draw_key(base, 2, False),
        draw_key(base, 1, True),
    ]
    assert len({draw_key(base, 1, False), *others}) == 8
    assert draw_key(base, 1, True) == draw_key(base, 2, True)
    named = Prefix(replace(PROBLEMS[0], id="other"), base.steps)
    assert draw_key(named, 1, False) == draw_key(base, 1, False)
