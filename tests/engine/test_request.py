"""A request says how it is searched: its strategy by name, effort and numbers, and what open models add."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from adascale.engine.errors import UsageError
from adascale.engine.kinds import KINDS
from adascale.engine.request import Conditions, SearchRequest
from adascale.engine.search.events import ModelDescription
from adascale.engine.strategies import (
    Adaptive,
    Beam,
    BestOfN,
    Greedy,
    ModeChoice,
    Strategy,
    Vote,
    preset,
)
from adascale.engine.types import Budget, KindName, Mode, Problem, SamplingChange, Schedule


@pytest.mark.parametrize(
    ("request_", "kind", "strategy"),
    [
        (SearchRequest(effort="low"), "value", preset("value", "low")),
        (SearchRequest(effort="low"), "json", preset("json", "low")),
        (SearchRequest(effort="low", strategy="vote"), "code", preset("code", "low")),
        (SearchRequest(effort="low", strategy="vote"), "value", Vote(8)),
        (SearchRequest(effort="low", strategy="beam"), "value", Beam()),
        (SearchRequest(strategy="vote", samples=3), "value", Vote(3)),
        (SearchRequest(strategy="best-of-n", adapt="n"), "value", BestOfN(16, adapt="n")),
        (SearchRequest(mode="program"), "value", Adaptive(modes=("program",))),
        (SearchRequest(strategy=Vote(5), mode="program"), "value", Vote(5, modes=("program",))),
        (SearchRequest(strategy="beam"), "text", Vote(1)),
        (SearchRequest(strategy=Vote(2)), "text", Vote(2)),
        (SearchRequest(strategy="greedy"), "text", Greedy()),
    ],
)
def test_strategy_of_a_kind(request_: SearchRequest, kind: KindName, strategy: Strategy) -> None:
    assert request_.strategy_for(kind) == strategy


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SearchRequest(beams=9, branching=2), "adaptive has no `beams` and no `branching`"),
        (SearchRequest(strategy="beam", mode="program"), "grows trees of steps"),
    ],
)
def test_what_a_strategy_does_not_have_is_refused(request_: SearchRequest, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        request_.strategy_for()


def test_a_problem_is_recognised_unless_the_request_says_its_kind() -> None:
    assert SearchRequest("hi").problem().kind == "text"
    assert SearchRequest("hi", is_searched=True).problem().kind == "value"
    assert SearchRequest("Which?", choices=["red", "green"]).problem("7").kind == "choice"
    with pytest.raises(UsageError, match="empty"):
        SearchRequest(" ").problem()


SETTINGS: dict[str, Any] = {
    "strategy": "best-of-n",
    "effort": "high",
    "samples": 3,
    "beams": 2,
    "branching": 2,
    "lead": 1,
    "confidence": 0.5,
    "adapt": "n",
    "mode": "program",
    "budget": Budget(5),
    "seed": 5,
    "width": 2,
    "sampling": SamplingChange(temperature=0.1),
    "min_confidence": 0.5,
}
"""Another value of each field that says how a question is searched."""
ONE_REPLY = {("effort", "fact"), ("effort", "text")}
"""The help of ``--effort`` says that these have one reply at any."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_has_an_effect_on_a_kind_or_is_named_in_a_warning_or_an_error(
    name: str, kind: KindName
) -> None:
    problem = Problem("1", "Is 91 prime?", kind=kind)
    usual, request = SearchRequest().settings(problem), SearchRequest(**{name: SETTINGS[name]})
    try:
        settings, error = request.settings(problem), ""
    except UsageError as refused:
        settings, error = usual, refused.message
    is_named = any(
        f"`{name}`" in message for message in (error, *(each.message for each in settings.warnings))
    )
    is_heeded = replace(settings, warnings=()) != replace(usual, warnings=()) or (name, kind) in ONE_REPLY
    if name == "min_confidence":  # the answer heeds it, where its status is by a probability
        is_heeded = kind not in ("text", "code")
    assert is_heeded is not is_named


def test_every_setting_of_a_search_is_among_them() -> None:
    stated = {"question", "kind", "choices", "schema", "history", "is_searched"}
    assert {each.name for each in fields(SearchRequest)} - stated == {*SETTINGS}


@pytest.mark.parametrize(("samples", "warned"), [(1, 1), (2, 0)])
def test_a_sampler_of_ones_own_is_warned_of_where_all_is_greedy(samples: int, warned: int) -> None:
    own = Conditions(ModelDescription(), (), set_odds=("temperature",))
    settings = SearchRequest(samples=samples).settings(Problem("1", "Who?", kind="fact"), own)
    assert sum("`temperature`" in notice.message for notice in settings.warnings) == warned


def of_modes(*modes: Mode) -> Conditions:
    return Conditions(
        ModelDescription(calibration={"level": "fitted", "modes": list(modes)}), (), schedule=Schedule.even(4)
    )


BOTH: tuple[Mode, ...] = ("prose", "program")


@pytest.mark.parametrize(
    ("kind", "request_", "of_models", "modes"),
    [
        ("text", SearchRequest(strategy=Vote(3)), BOTH, ("prose",)),
        ("call", SearchRequest(), BOTH, ("call", "prose")),
        ("call", SearchRequest(strategy="greedy"), BOTH, ("call",)),
        ("value", SearchRequest(mode="program"), BOTH, ("program",)),
        ("value", SearchRequest(), ("prose",), ("prose",)),
        ("date", SearchRequest(), BOTH, ("program", "prose")),
        ("date", SearchRequest(strategy="greedy"), BOTH, ("program",)),
        ("date", SearchRequest(strategy="greedy"), ("prose",), ("prose",)),
        ("choice", SearchRequest(strategy="vote", mode="program"), BOTH, ("prose",)),
        ("value", SearchRequest(strategy="vote"), BOTH, ("prose",)),
        ("date", SearchRequest(strategy="beam"), BOTH, ("prose",)),
    ],
)
def test_each_row_gives_the_modes_of_its_searches(
    kind: KindName, request_: SearchRequest, of_models: tuple[Mode, ...], modes: tuple[Mode, ...]
) -> None:
    details = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "messages": [{"role": "user", "content": "x"}],
    }
    problem = Problem("1", "", kind=kind, details=details if kind == "call" else {})
    assert request_.settings(problem, modes=of_models).strategy.modes == modes


@pytest.mark.parametrize("mode", ["auto", "prose", "program"])
def test_a_calibration_of_both_modes_is_used_in_each(mode: ModeChoice) -> None:
    both = of_modes("prose", "program")
    settings = SearchRequest(mode=mode).settings(Problem("1", "1 + 1?"), both, ("prose", "program"))
    assert (settings.models, settings.warnings, settings.schedule) == (both.models, (), Schedule.even(4))
    assert settings.strategy.modes == (("prose", "program") if mode == "auto" else (mode,))


@pytest.mark.parametrize("among", [("prose",), ("prose", "program")])
def test_a_calibration_of_prose_is_not_used_for_programs(among: tuple[Mode, ...]) -> None:
    prose, problem = of_modes("prose"), Problem("1", "1 + 1?")
    assert SearchRequest(strategy="vote").settings(problem, prose, among).models == prose.models
    programs = SearchRequest(strategy="vote", mode="program").settings(problem, prose, among)
    assert programs.models.calibration is None
    [warning] = programs.warnings
    assert "knows no programs" in warning.message


def test_nothing_judges_a_plain_reply() -> None:
    settings = SearchRequest("hi", strategy=Vote(3)).settings(
        Problem("1", "hi", kind="text"), of_modes("prose")
    )
    assert (settings.models.calibration, settings.strategy.branches) == (None, 3)


def test_a_generator_that_cannot_continue_draws_no_step_again_and_grows_no_tree() -> None:
    whole = Conditions(ModelDescription(), (), continues=False)
    problem = SearchRequest("What is twice 9?").problem()
    assert SearchRequest().settings(problem).strategy.redraws > 0
    assert SearchRequest().settings(problem, whole).strategy.redraws == 0
    with pytest.raises(UsageError, match="beam grows a tree of steps"):
        SearchRequest(strategy="beam").settings(problem, whole)
