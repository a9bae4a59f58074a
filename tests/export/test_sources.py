from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sampled
import worlds
from event_logs import ticking

from adascale.codetasks.task import CodeTask
from adascale.engine.evaluation.contestants import parse_contestants
from adascale.engine.evaluation.evaluate import evaluate
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.waiting import branch_seed
from adascale.engine.types import KindName, Problem
from adascale.export.sampled import SampledQuestion
from adascale.export.sources import NOT_DRAWN, read_draws, read_rollouts
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.draws.playback import ReplayingPolicy, WaitingExecutor
from adascale.models.draws.store import DrawStore, draw_key
from bench.scripted import ScriptedExecutor, scripted_step


def paths(question: SampledQuestion) -> set[tuple[object, ...]]:
    """What a tree says, whatever the order of its rows."""
    return {
        (node.mode, question.text(row), node.ended, node.tokens, node.answer, tuple(node.counts or ()))
        for row, node in enumerate(question.nodes)
    }


def test_rollouts_come_back_as_their_search_had_them(tmp_path: Path) -> None:
    records = worlds.searched(worlds.problems(3), programs=2)
    with closing(RolloutStore(tmp_path / "x.sqlite")) as store:
        store.put_models(replace(sampled.MODELS, calibration={"name": "judged nothing"}))
        for record in records.values():
            for mode in ("prose", "program"):
                store.put(Rollouts.of(record, mode))
    found = list(read_rollouts(tmp_path / "x.sqlite"))
    assert len(found) == 6
    assert all(each.models == sampled.MODELS for each in found)
    for number, record in enumerate(records.values()):
        live, (prose, programs) = SampledQuestion.of(record), found[2 * number : 2 * number + 2]
        assert live.by_mode == {"prose": prose.nodes[0].outcome, "program": programs.nodes[0].outcome}
        kept = paths(prose) | paths(programs)
        assert {path for path in kept if path[1]} == {path for path in paths(live) if path[1]}
        assert prose.problem == live.problem


def test_rollouts_of_a_code_task_have_the_tests_that_its_prompt_had(tmp_path: Path) -> None:
    [task] = worlds.tasks(1)
    [rollouts] = worlds.code_rollouts([task])
    with closing(RolloutStore(tmp_path / "x.sqlite")) as store:
        store.put(replace(rollouts, problem=task))
    [found] = read_rollouts(tmp_path / "x.sqlite")
    assert found.problem.kind == "code"
    assert CodeTask.of(found.problem) == CodeTask(CodeTask.of(task).given)


def evaluated(path: Path, strategies: str, repeats: int = 1) -> list[SampledQuestion]:
    """What an evaluation of a world's questions leaves behind."""
    asked = worlds.problems(4)
    with closing(DrawStore(path)) as store:
        store.put_models(sampled.MODELS)
        policy = ReplayingPolicy(worlds.ReadingPolicy(worlds.solve, 4), store, lambda branches: 1.0)
        driver = Driver(
            policy,
            SequenceLogprob(),
            {},
            ticking(),
            executor=WaitingExecutor(ScriptedExecutor(worlds.execute), lambda: False),
        )
        for _ in evaluate(driver, parse_contestants(strategies), asked, repeats, seed=3):
            pass
    return [each for each in read_draws(path, asked, 3) if isinstance(each, SampledQuestion)]


def test_draws_of_an_evaluation_are_found_with_their_outcomes(tmp_path: Path) -> None:
    found = evaluated(tmp_path / "x.sqlite", "vote:5")
    assert len(found) == 4
    for question in found:
        assert question.models == sampled.MODELS
        assert len(question.ends()) == 5
        assert question.nodes[0].counts == [sum(question.nodes[at].right or 0 for at in question.ends()), 5]


def test_draws_of_later_repeats_follow(tmp_path: Path) -> None:
    found = evaluated(tmp_path / "x.sqlite", "vote:5", repeats=3)
    assert [len(each.ends()) for each in found] == [15] * 4


def test_siblings_of_a_tree_search_are_found(tmp_path: Path) -> None:
    found = evaluated(tmp_path / "x.sqlite", "beam")
    deep = [row for each in found for row in range(1, len(each.nodes)) if len(each.children()[row]) > 1]
    assert deep


def test_a_program_of_an_evaluation_has_no_outcome(tmp_path: Path) -> None:
    found = evaluated(tmp_path / "x.sqlite", "vote:3/program")
    nodes = [node for each in found for node in each.nodes[1:]]
    assert nodes
    assert all(node.mode == "program" and node.probability is None for node in nodes)


def test_a_question_that_was_not_evaluated_is_said_to_be_so(tmp_path: Path) -> None:
    evaluated(tmp_path / "x.sqlite", "vote:5")
    assert list(read_draws(tmp_path / "x.sqlite", worlds.problems(1, start=50), 3)) == [NOT_DRAWN]
    assert list(read_draws(tmp_path / "x.sqlite", worlds.problems(1), 77)) == [NOT_DRAWN]


def test_a_redrawn_step_is_found_below_the_prefix_that_went_on(tmp_path: Path) -> None:
    [asked] = worlds.problems(1)
    first, wrong = scripted_step("7 and 8.\n\n"), scripted_step("Answer: 54.", "stop")
    with closing(DrawStore(tmp_path / "x.sqlite")) as store:
        whole = Prefix(asked)
        store.put(draw_key(whole, branch_seed(3, asked.id, (0,), "prose"), greedy=False), (first, wrong))
        again = Prefix(asked, (first,))
        store.put(
            draw_key(again, branch_seed(3, asked.id, (0, 0), "prose"), greedy=False),
            (scripted_step("Answer: 18.", "stop"),),
        )
    [found] = read_draws(tmp_path / "x.sqlite", [asked], 3)
    assert isinstance(found, SampledQuestion)
    assert [found.nodes[at].answer for at in found.ends()] == ["54", "18"]
    assert found.nodes[1].counts == [1, 2]


BANK = {"stem": "Where is money?", "letters": ["A", "B"], "texts": ["a bench", "a bank"]}


@pytest.mark.parametrize(
    ("kind", "answer", "details", "solution"),
    [
        ("fact", "William Shakespeare", {}, "William Shakespeare"),
        ("choice", "B", BANK, "The answer is: a bank."),
    ],
)
def test_a_draw_is_judged_by_the_kind_of_its_question(
    tmp_path: Path, kind: KindName, answer: str, details: dict[str, object], solution: str
) -> None:
    asked = Problem("1", "?", answer, kind=kind, details=details)
    with closing(DrawStore(tmp_path / "x.sqlite")) as store:
        key = draw_key(Prefix(asked), branch_seed(3, asked.id, (0,), "prose"), greedy=False)
        store.put(key, (scripted_step(solution, "stop"),))
    [found] = read_draws(tmp_path / "x.sqlite", [asked], 3)
    assert isinstance(found, SampledQuestion)
    assert (found.nodes[1].answer, found.nodes[1].right) == (answer, True)


def test_an_answer_is_read_behind_the_thought(tmp_path: Path) -> None:
    [asked] = worlds.problems(1)
    thought = replace(scripted_step("\\boxed{5}\n\n"), thought="whole")
    with closing(DrawStore(tmp_path / "x.sqlite")) as store:
        key = draw_key(Prefix(asked), branch_seed(3, asked.id, (0,), "prose"), greedy=False)
        store.put(key, (thought, scripted_step("The answer is 18.", "stop")))
    [found] = read_draws(tmp_path / "x.sqlite", [asked], 3)
    assert isinstance(found, SampledQuestion)
    assert found.nodes[2].answer == "18"
