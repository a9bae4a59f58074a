"""The store of rollouts: what it was told is there, whatever happens next; and the choice of questions."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from worlds import drawn, problems, searched

from adascale.engine.errors import AdascaleError
from adascale.engine.types import Problem
from adascale.models.blobs import pack
from adascale.models.calibration.artefact import Fingerprint, ProgramFingerprint
from adascale.models.calibration.collect import CodePlan, DrawPlan, expected_tokens, rollouts_path
from adascale.models.calibration.rollouts import Rollouts, RolloutStore

NO_ARRAYS = ("problem", "answers", "texts", "mode")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RolloutStore]:
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.sqlite")) as opened:
        yield opened


def same(a: Rollouts, b: Rollouts) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Rollouts)]
    return all(np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


def test_what_was_put_comes_back(store: RolloutStore, tmp_path: Path) -> None:
    asked = problems(5)
    put = drawn(asked)
    for rollouts in put:
        assert not store.holds(rollouts.problem)
        assert store.get(rollouts.problem) is None
        store.put(rollouts)
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.sqlite")) as again:
        for rollouts in put:
            found = again.get(rollouts.problem)
            assert found is not None
            assert again.holds(rollouts.problem)
            assert same(found, rollouts)
            arrays = [f.name for f in fields(Rollouts) if f.name not in NO_ARRAYS]
            assert all(getattr(found, n).dtype == getattr(rollouts, n).dtype for n in arrays)


def kept_by_an_older_version(path: Path, rollouts: Rollouts) -> None:
    """As it was written before texts were kept: not compressed, by a judge that is not named."""
    buffer = io.BytesIO()
    names = [f.name for f in fields(Rollouts) if f.name not in (*NO_ARRAYS, "wrong_sum")]
    arrays = {name: getattr(rollouts, name) for name in names}
    np.savez(buffer, **arrays, slipped=rollouts.wrong_sum)
    problem = rollouts.problem
    key = json.dumps([problem.id, problem.question, problem.answer])
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE rollouts (problem TEXT PRIMARY KEY, answers TEXT NOT NULL, arrays BLOB NOT NULL)"
        )
        db.execute(
            "INSERT INTO rollouts VALUES (?, ?, ?)", (key, json.dumps(rollouts.answers), buffer.getvalue())
        )
        db.commit()


def test_rollouts_of_an_older_version_are_read_and_judged_by_the_judge_of_now(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.sqlite"
    [rollouts] = drawn(problems(1))
    assert rollouts.right[0] > 0
    kept_by_an_older_version(path, replace(rollouts, right=np.zeros_like(rollouts.right)))
    with closing(RolloutStore(path)) as store:
        found = store.get(rollouts.problem)
        assert found is not None
        assert found.texts == ()
        assert same(replace(found, texts=rollouts.texts), rollouts)
        [other] = drawn(problems(1, 1))
        store.put(other)
        assert same(cast(Rollouts, store.get(other.problem)), other)


def test_judging_again_counts_as_the_search_did() -> None:
    for rollouts in drawn(problems(12)):
        assert same(replace(rollouts, right=rollouts.right * 0).judge(), rollouts)


@pytest.mark.parametrize("blob", [b"", b"garbage", pack({"parent": np.zeros(3)})])
def test_rollouts_that_nobody_put_are_damage(store: RolloutStore, tmp_path: Path, blob: bytes) -> None:
    [rollouts] = drawn(problems(1))
    store.put(rollouts)
    with closing(sqlite3.connect(tmp_path / "deep" / "rollouts.sqlite")) as db:
        db.execute("UPDATE rollouts SET arrays = ?", (blob,))
        db.commit()
    with pytest.raises(AdascaleError, match="is damaged"):
        store.get(rollouts.problem)
    with pytest.raises(AdascaleError, match="is damaged"):
        list(store.every())


def test_rollouts_whose_arrays_do_not_fit_each_other_are_damage(store: RolloutStore) -> None:
    [rollouts] = drawn(problems(1))
    store.put(replace(rollouts, parent=rollouts.parent[:-1]))
    with pytest.raises(AdascaleError, match="is damaged") as raised:
        store.get(rollouts.problem)
    assert "arrays of other lengths" in raised.value.facts[0]


def test_texts_are_kept_step_by_step(store: RolloutStore) -> None:
    [record] = searched(problems(1)).values()
    store.put(Rollouts.of(record))
    found = store.get(record.started.problem)
    assert found is not None
    assert Counter(found.texts) == Counter(node.step.text if node.step else "" for node in record.tree)


def test_a_question_with_another_answer_or_id_is_another_question(store: RolloutStore) -> None:
    [rollouts] = drawn(problems(1))
    store.put(rollouts)
    for other in (replace(rollouts.problem, answer="19"), replace(rollouts.problem, id="other")):
        assert not store.holds(other)
        assert store.get(other) is None
    assert store.holds(replace(rollouts.problem, meta={"line": 3}))


def test_two_questions_with_the_same_text_are_both_kept(store: RolloutStore) -> None:
    first = Problem("a", "What is 9 * 2?", "18")
    asked = [first, replace(first, id="b")]
    for rollouts in drawn(asked):
        store.put(rollouts)
    assert [store.holds(problem) for problem in asked] == [True, True]


def test_rewards_are_kept_by_prm(store: RolloutStore) -> None:
    one, two = drawn(problems(2))
    for rollouts in (one, two):
        store.put(rollouts)
    first, second = (np.linspace(0, high, len(one.parent)).astype(np.float32) for high in (1, 2))
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


def test_what_is_kept_stays_as_it_is(store: RolloutStore) -> None:
    [first], [other] = (drawn(problems(1), samples) for samples in (3, 4))
    assert first.to_bytes() != other.to_bytes()
    store.put(first)
    store.put(other)
    found = store.get(first.problem)
    assert found is not None
    assert found.to_bytes() == first.to_bytes()


_LOOP = """
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast
from worlds import drawn, problems
from adascale.models.calibration.rollouts import RolloutStore
store = RolloutStore(Path(sys.argv[1]))
[template] = drawn(problems(1))
for i in range(100_000):
    store.put(replace(template, problem=replace(template.problem, question=f"Question {i}?")))
    print(i, flush=True)
"""


def test_all_that_was_reported_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.sqlite"
    command = [sys.executable, "-c", f"import sys\nsys.path[:0] = {sys.path!r}\n{_LOOP}", str(path)]
    [template] = drawn(problems(1))
    last = -1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = int(line)
            if last == 40:
                process.kill()
        process.wait()
    assert 40 <= last < 99_999
    with closing(RolloutStore(path)) as store:
        for i in range(last + 1):
            found = store.get(replace(template.problem, question=f"Question {i}?"))
            assert found is not None, f"question {i} of {last} was reported and is lost"
            assert same(replace(found, problem=template.problem), template)
        store.put(template)  # and it can be written to


def test_whatever_changes_a_draw_changes_the_name_of_the_store() -> None:
    fingerprint = Fingerprint("g" * 64, "", "probe", "p" * 64, {"temperature": 0.8}, 2048)
    base = rollouts_path(fingerprint, DrawPlan())
    others = [
        (replace(fingerprint, generator="h" * 64), DrawPlan()),
        (replace(fingerprint, prompt="q" * 64), DrawPlan()),
        (replace(fingerprint, sampling={"temperature": 0.7}), DrawPlan()),
        (replace(fingerprint, window=1024), DrawPlan()),
        (fingerprint, DrawPlan(samples=5)),
        (fingerprint, DrawPlan(rollouts=3)),
        (fingerprint, DrawPlan(seed=1)),
        (fingerprint, CodePlan()),
        (fingerprint, CodePlan(programs=5)),
        (fingerprint, CodePlan(seed=1)),
    ]
    programs = replace(fingerprint, program=ProgramFingerprint("p" * 64, {"temperature": 0.8}))
    others += [
        (programs, DrawPlan(programs=2)),
        (programs, DrawPlan(programs=3)),
        (replace(programs, program=ProgramFingerprint("q" * 64, {"temperature": 0.8})), DrawPlan(programs=3)),
        (replace(programs, program=ProgramFingerprint("p" * 64, {"temperature": 0.7})), DrawPlan(programs=3)),
    ]
    assert len({base, *(rollouts_path(*other) for other in others)}) == 1 + len(others)
    # A PRM reads what was drawn and changes nothing of it.
    assert rollouts_path(replace(fingerprint, prm="x" * 64, prm_format="judge"), DrawPlan()) == base


def test_the_expected_cost_is_that_of_what_is_kept(store: RolloutStore) -> None:
    asked = problems(8)
    guess = expected_tokens(store, asked, 8, DrawPlan())
    assert guess == 8 * 350 * 5
    kept = drawn(asked[:3])
    for rollouts in kept:
        store.put(rollouts)
    mean = sum(int(r.tokens.sum()) for r in kept) / 3
    assert expected_tokens(store, asked, 5, DrawPlan()) == pytest.approx(5 * mean, abs=1)


def test_paths_lead_from_the_first_step_to_the_node() -> None:
    for rollouts in drawn(problems(5)):
        for node in range(1, len(rollouts.parent)):
            path = rollouts.path(node)
            assert path[-1] == node
            assert [int(rollouts.parent[n]) for n in path] == [0, *path[:-1]]
    assert rollouts.path(0) == []


def test_a_search_without_readings_cannot_be_kept() -> None:
    [record] = searched(problems(1)).values()
    step = random.Random(0).choice([node for node in record.tree if node.step])
    assert step.step is not None
    step.step = replace(step.step, reading=None)
    with pytest.raises(AssertionError, match="states were not kept"):
        Rollouts.of(record)
