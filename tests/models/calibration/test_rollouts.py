"""The store of rollouts: what it was told is there, whatever happens next."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import drawn, problems, searched

from adascale.engine.errors import AdascaleError
from adascale.engine.types import Problem
from adascale.models.calibration.artefact import Fingerprint, ProgramFingerprint
from adascale.models.calibration.rollouts import DrawPlan, KeptRollouts, Rollouts, RolloutStore

PLAN = DrawPlan(samples=4, seed=0, programs=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RolloutStore]:
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.jsonl")) as opened:
        yield opened


def same(a: Rollouts | None, b: Rollouts) -> bool:
    assert a is not None
    states = ((a.last, b.last), (a.mean, b.mean))
    equal = all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in states)
    return equal and (a.problem, a.mode, tuple(a.nodes)) == (b.problem, b.mode, tuple(b.nodes))


def test_what_was_put_comes_back_for_good(store: RolloutStore, tmp_path: Path) -> None:
    put = drawn(problems(5))
    for rollouts in put:
        assert not store.holds(rollouts.problem)
        assert store.get(rollouts.problem) is None
        store.put(rollouts)
    [other] = drawn(problems(1), samples=3)
    store.put(other)  # what is kept stays as it is
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.jsonl", read_only=True)) as again:
        for rollouts, kept in zip(put, again.every(), strict=True):
            assert same(again.get(rollouts.problem), rollouts)
            assert kept == KeptRollouts(rollouts.problem, rollouts.mode, tuple(rollouts.nodes))


def test_a_search_is_kept_step_by_step(store: RolloutStore) -> None:
    [record] = searched(problems(1)).values()
    rollouts = Rollouts.of(record)
    assert Counter(node.text for node in rollouts.nodes) == Counter(
        node.step.text if node.step else "" for node in record.tree
    )
    assert [rollouts.nodes[end].answer for end in sorted(rollouts.ends())].count("18") == sum(
        candidate.answer == "18" for candidate in record.candidates
    )
    for row in range(1, len(rollouts.nodes)):
        path = rollouts.path(row)
        assert path[-1] == row
        assert [rollouts.nodes[at].parent for at in path] == [0, *path[:-1]]
    step = random.Random(0).choice([node for node in record.tree if node.step])
    assert step.step is not None
    step.step = replace(step.step, reading=None)
    with pytest.raises(AssertionError, match="states were not kept"):
        Rollouts.of(record)


def test_rollouts_that_nobody_put_are_damage(store: RolloutStore) -> None:
    [rollouts] = drawn(problems(1))
    store.put(replace(rollouts, nodes=rollouts.nodes[:-1]))
    with pytest.raises(AdascaleError, match="is damaged"):
        store.get(rollouts.problem)
    store._put("rollouts", "other", {"nodes": 3})
    with pytest.raises(AdascaleError, match="is damaged"):
        list(store.every())


def test_a_question_with_another_answer_or_id_is_another_question(store: RolloutStore) -> None:
    first = Problem("a", "What is 9 * 2?", "18")
    [rollouts] = drawn([first])
    store.put(rollouts)
    assert store.holds(replace(first, meta={"line": 3}))
    assert not store.holds(replace(first, answer="19"))
    second = replace(first, id="b")
    assert store.get(second) is None
    store.put(replace(rollouts, problem=second))
    assert store.holds(first)
    assert store.holds(second)


def test_rewards_are_kept_by_prm(store: RolloutStore) -> None:
    one, two = drawn(problems(2))
    first, second = (np.linspace(0, high, len(one.nodes)).astype(np.float32) for high in (1, 2))
    assert store.rewards(one.problem, "a") is None
    store.put_rewards(one.problem, "a", first)
    store.put_rewards(one.problem, "b", second)
    for prm, expected in (("a", first), ("b", second)):
        found = store.rewards(one.problem, prm)
        assert found is not None
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)
    assert store.rewards(one.problem, "c") is None
    assert store.rewards(two.problem, "a") is None


def test_whatever_changes_a_draw_changes_the_name_of_the_store() -> None:
    fingerprint = Fingerprint("g" * 64, "", "probe", "p" * 64, {"temperature": 0.8}, 2048)
    base = PLAN.store_path(fingerprint)
    others = [
        (replace(fingerprint, generator="h" * 64), PLAN),
        (replace(fingerprint, prompt="q" * 64), PLAN),
        (replace(fingerprint, sampling={"temperature": 0.7}), PLAN),
        (replace(fingerprint, window=1024), PLAN),
        (fingerprint, replace(PLAN, samples=5)),
        (fingerprint, replace(PLAN, seed=1)),
    ]
    for prompt, temperature, count in (("p", 0.8, 2), ("p", 0.8, 3), ("q", 0.8, 3), ("p", 0.7, 3)):
        program = ProgramFingerprint(prompt * 64, {"temperature": temperature})
        others.append((replace(fingerprint, program=program), replace(PLAN, programs=count)))
    assert len({base, *(plan.store_path(each) for each, plan in others)}) == 1 + len(others)
    # A PRM reads what was drawn and changes nothing of it.
    assert PLAN.store_path(replace(fingerprint, prm="x" * 64, prm_format="judge")) == base
