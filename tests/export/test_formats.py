"""Every format on searches of a known world; ``pytest --update-golden`` accepts a change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import sampled
from sampled import node, question

from adascale.engine.search.prefix_outcomes import PrefixOutcome
from adascale.engine.types import Estimate, Mode, Turn
from adascale.export.dataset import Card, Recipe, rows_of
from adascale.export.filters import Filters
from adascale.export.formats import FORMATS, FormatName, Labelling
from adascale.export.sampled import SampledNode, SampledQuestion

GOLDEN = Path(__file__).parents[1] / "golden" / "datasets"
NAMES: Sequence[FormatName] = get_args(FormatName)


def rows(
    name: FormatName,
    *questions: SampledQuestion,
    labelling: Labelling = Labelling(),
    filters: Filters = Filters(),
) -> tuple[list[Any], Card]:
    card = Card(Recipe(name, labelling, filters), mixed=True)
    return [row for _, row in rows_of(questions, card)], card


@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_written_as_before(name: FormatName, request: pytest.FixtureRequest) -> None:
    found, _ = rows(name, *sampled.world())
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    path = GOLDEN / f"{name}.jsonl"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert all(sampled.fits(row, FORMATS[name].row) for row in found)


def test_soft_steps_have_every_prefix_and_its_counts() -> None:
    asked = sampled.world()[0].merged()
    found, card = rows("soft-steps", asked)
    assert len(found) + card.omissions.total() == len(asked.nodes)
    assert found[0]["reasoning_prefix"] == ""
    for row in found:
        assert row["finished"] or row["success_prob"] == row["right"] / row["total"]


def test_siblings_are_compared_below_their_prefix() -> None:
    tree = question(
        node(0, "a\n\n", 0.9),
        node(1, "good", 0.9),
        node(1, "bad", 0.2),
        node(1, "fair", 0.8),
        node(1, "poor", 0.7),
    )
    [row], card = rows("trl-preference", tree)
    assert row["prompt"] == [{"role": "user", "content": "What is q?"}], (
        "an assistant's turn ends in a prompt"
    )
    assert row["prefix"] == "a\n\n"
    assert [row[side][0]["content"] for side in ("chosen", "rejected")] == ["a\n\ngood", "a\n\nbad"]
    assert (row["p_chosen"], row["p_rejected"]) == (0.9, 0.2)
    assert not card.omissions


@pytest.mark.parametrize(
    "other",
    [
        node(0, "a", 0.1),
        node(0, "print(1)", 0.1, mode="program"),
        node(0, "so 1", 0.1, answer="1"),
        node(0, "b", 0.8),
        node(0, "b", 0.1, calibrated=False),
    ],
    ids=["equal", "another mode", "an end", "as likely", "unknown"],
)
def test_what_does_not_compare_is_no_pair(other: SampledNode) -> None:
    found, card = rows("trl-preference", question(node(0, "a", 0.9), other))
    assert not found
    merged = other.text == "a"
    assert card.omissions == ({} if merged else {"prefixes whose continuations do not differ enough": 1})


def test_equal_continuations_are_one_with_all_outcomes() -> None:
    tree = question(
        node(0, "a", None, (1, 1)),
        node(0, "a", None, (0, 2)),
        node(1, "b", None, (1, 1), answer="1"),
        node(2, "b", None, (1, 1), answer="1"),
        node(2, "c", None, (0, 1), answer="2"),
    )
    merged = tree.merged()
    assert [(each.text, each.parent, each.counts) for each in merged.nodes[1:]] == [
        ("a", 0, [1, 3]),
        ("b", 1, [2, 2]),
        ("c", 1, [0, 1]),
    ]
    assert merged.merged() is merged


def test_whole_solutions_are_compared_by_known_answers() -> None:
    tree = question(
        node(0, "a", 0.1),
        node(1, "1", 0.2, (1, 1), answer="1"),
        node(0, "2", 0.9, (0, 1), answer="2"),
        answer="1",
    )
    [row], _ = rows("trl-preference", tree, labelling=Labelling(pairs="solutions"))
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("a1", "2")
    assert len(row["prompt"]) == 1


def test_the_likeliest_right_solution_is_learnt() -> None:
    tree = question(
        node(0, "likely and wrong", 0.9, (0, 1), answer="2"),
        node(0, "right", 0.3, (1, 1), answer="1"),
        node(0, "right and likely", 0.6, (1, 1), answer="1"),
        answer="1",
    )
    [row], card = rows("sft", tree, tree)
    assert row["messages"][-1]["content"] == "right and likely"
    assert row["verified"]
    assert card.omissions == {"questions that are written already": 1}


def test_a_question_without_an_answer_is_no_prompt_to_reward() -> None:
    found, card = rows("grpo", sampled.prose_search())
    assert not found
    assert card.omissions == {"questions without a known answer": 1}


@pytest.mark.parametrize(("threshold", "label"), [(0.2, True), (0.4, True), (0.41, False)])
def test_the_threshold_decides_labels(threshold: float, label: bool) -> None:
    tree = question(node(0, "a", 0.4, answer="1"))
    [row], _ = rows("trl-prm", tree, labelling=Labelling(threshold=threshold))
    assert row["labels"] == [label]


def test_a_path_ends_before_its_first_unknown_step() -> None:
    tree = question(node(0, "a\n\n", 0.4), node(1, "b", 0.9, calibrated=False))
    [row], card = rows("trl-prm", tree)
    assert row["completions"] == ["a"]
    assert card.omissions == {"steps or solutions without a probability": 1}


@pytest.mark.parametrize("answer", ["3", "(3)", "C"])
def test_the_known_answer_of_a_choice_is_the_letter_of_its_prompt(answer: str) -> None:
    tree = question(node(0, "a", 0.9), answer=answer)
    details = {"stem": "Which is the only even prime?", "texts": ["4", "5", "2"], "letters": ["1", "2", "3"]}
    if answer == "C":
        del details["letters"]
        details["texts"] = ["A", "B", "C"]
    choice = replace(tree, problem=replace(tree.problem, kind="choice", details=details))
    [row], _ = rows("grpo", choice)
    assert row["ground_truth"] == "C"


def test_only_a_value_is_called_maths() -> None:
    tree = question(node(0, "a", 0.9), answer="1")
    fact = replace(tree, problem=replace(tree.problem, kind="fact"))
    for asked, ability in ((tree, "math"), (fact, "fact")):
        [row], _ = rows("verl", asked)
        assert row["ability"] == ability


def test_the_same_words_after_another_conversation_are_another_prompt() -> None:
    tree = question(node(0, "a", 0.9, (1, 1), answer="1"), answer="1")
    turns = [(Turn("user", f"What is {n}?"), Turn("assistant", "1")) for n in range(2)]
    asked = [replace(tree, problem=replace(tree.problem, history=history)) for history in turns]
    for name in ("sft", "grpo", "verl"):
        written, card = rows(name, *asked, asked[0])  # type: ignore[arg-type]
        assert len(written) == 2
        assert card.omissions == {"questions that are written already": 1}


@pytest.mark.parametrize("name", ["trl-prm", "soft-steps"])
def test_a_format_without_a_conversation_leaves_out_what_follows_on_one(name: FormatName) -> None:
    tree = question(node(0, "a", 0.9))
    turns = (Turn("user", "What is 17 * 23?"), Turn("assistant", "391"))
    follows = replace(tree, problem=replace(tree.problem, question="and times two?", history=turns))
    alone, before = rows(name, tree)
    written, card = rows(name, tree, follows)
    assert written == alone
    assert (card.omissions - before.omissions).total() == 1


@pytest.mark.parametrize(("mode", "success"), [("prose", 1.0), ("program", 0.5), (None, 0.75)])
def test_the_success_of_a_question_is_that_of_the_way_that_is_kept(mode: Mode | None, success: float) -> None:
    tree = question(
        node(0, "right", None, (2, 2), answer="1"),
        node(0, "print(1)", None, (1, 1), answer="1", mode="program"),
        node(0, "print(2)", None, (0, 1), answer="2", mode="program"),
        answer="1",
    )
    first = replace(tree.nodes[0], outcome=PrefixOutcome(3, 4))
    by_mode: Mapping[Mode, PrefixOutcome] = {"prose": PrefixOutcome(2, 2), "program": PrefixOutcome(1, 2)}
    asked = replace(tree, nodes=(first, *tree.nodes[1:]), by_mode=by_mode)
    [row], _ = rows("grpo", asked, filters=Filters(mode=mode))
    assert row["success"] == success


def test_what_was_thought_of_a_question_in_prose_is_not_of_its_programs() -> None:
    tree = question(node(0, "print(1)", None, (0, 4), answer="1", mode="program"), answer="2")
    sure = replace(tree.nodes[0], estimate=Estimate(0.93, 0.95, 0.97, calibrated=True))
    first = replace(sure, outcome=PrefixOutcome(0, 4))
    asked = replace(tree, nodes=(first, *tree.nodes[1:]), by_mode={"program": PrefixOutcome(0, 4)})
    [row], _ = rows("grpo", asked, filters=Filters(mode="program"))
    assert row["success"] < 0.5
    assert rows("grpo", asked, filters=Filters(mode="prose"))[0] == []
