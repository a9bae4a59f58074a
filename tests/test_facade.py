"""The public surface: what ``import adascale`` offers, and a search through it."""

from __future__ import annotations

import ast
from collections.abc import Generator, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import tiny

import adascale
from adascale.engine.errors import ContextOverflowError
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import StepProposed


def test_every_public_name_exists_and_is_listed() -> None:
    for name in adascale.__all__:
        assert getattr(adascale, name) is not None
    assert set(adascale.__all__) <= set(dir(adascale))
    with pytest.raises(AttributeError):
        adascale.no_such_name  # noqa: B018


def test_a_type_checker_sees_every_public_name() -> None:
    tree = ast.parse(Path(adascale.__file__).read_text(encoding="utf-8"))
    imports = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert {alias.asname for alias in imports if alias.asname} == {*adascale.__all__} - {"__version__"}


def test_ask_in_one_line(chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    result = adascale.ask("What is twice 9?", str(chain_gguf), strategy="vote")
    assert result.answer == "18"
    assert result.solution.endswith("\\boxed{18}.")

    reply = adascale.ask("hi", chain_gguf)
    assert (reply.answer, reply.groups) == (None, ())
    assert reply.solution


def test_code_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    coder = str(tiny.write_chain(tmp_path / "coder.gguf", tiny.CODER))
    result = adascale.code("Square n.", coder, tests=["assert f(5) == 25"])
    assert (result.answer, result.passes) == ("def f(n):\n    return n * n", True)
    assert [(each.test, each.outcome) for each in result.tests] == [("assert f(5) == 25", "passed")]
    untested = adascale.code("Square n.", coder)
    assert (untested.answer, untested.passes) == ("def f(n):\n    return n + n", False)
    with pytest.raises(adascale.AdascaleError, match="no Python"):
        adascale.code("Square n.", coder, tests=["assert f(5"])
    with pytest.raises(adascale.AdascaleError, match="a list"):
        adascale.code("Square n.", coder, tests="assert f(5) == 25")


def test_events_of_several_questions_in_one_session(
    chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with adascale.Session(adascale.SessionOptions(generator=str(chain_gguf), branches=4)) as session:
        strategy = adascale.Vote(3)
        log = list(adascale.search("What is twice 9?", session, strategy=strategy))
        again = adascale.ask("What is twice 9?", session, strategy=strategy)

    first, last = log[0], log[-1]
    assert isinstance(first, adascale.SearchStarted)
    assert first.models.generator is not None
    assert first.models.generator.sha256  # the log says what it was made with
    assert isinstance(last, adascale.SearchFinished)
    shown = {field.name: getattr(last.result, field.name) for field in fields(last.result)}
    assert {name: getattr(again, name) for name in shown} == shown
    assert len(adascale.replay(log)) > 3


def test_effort_mode_budget_and_seed_are_those_of_the_search(
    chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    searched: list[Settings] = []
    run = Driver.run

    def noted(
        driver: Driver, problems: list[adascale.Problem], settings: Settings
    ) -> Iterator[tuple[adascale.Problem, adascale.Event]]:
        searched.append(settings)
        return run(driver, problems, settings)

    monkeypatch.setattr(Driver, "run", noted)
    budget = adascale.Budget(9)
    with adascale.Session(adascale.SessionOptions(generator=str(chain_gguf), branches=4)) as session:
        adascale.ask("1 + 1?", session, effort="low", mode="program", budget=budget, seed=7)
        list(adascale.search("1 + 1?", session, effort="low", mode="program", budget=budget, seed=7))
        adascale.code("Square n.", session, effort="low", budget=budget, seed=7)

    assert [(each.budget, each.seed) for each in searched] == [(budget, 7)] * 3
    assert [each.strategy.modes for each in searched] == [("program",), ("program",), ("code",)]
    assert [each.strategy.parameters()["samples"] for each in searched] == [8, 8, 4]


def test_what_cannot_be_asked_is_an_error(chain_gguf: Path) -> None:
    with pytest.raises(adascale.AdascaleError, match="empty"):
        adascale.ask("  ", str(chain_gguf))
    with pytest.raises(adascale.AdascaleError, match="strategy"):
        adascale.ask("1 + 1?", str(chain_gguf), strategy="no-such")
    for wrong in (
        {"kind": "code"},
        {"kind": "sum"},
        {"mode": "fast"},
        {"choices": "red"},
        {"choices": [6, 8]},
    ):
        with pytest.raises(adascale.AdascaleError, match=r"called|list of texts"):
            adascale.ask("1 + 1?", str(chain_gguf), **wrong)  # type: ignore[arg-type]
    for ask in (adascale.ask, adascale.code):
        with pytest.raises(adascale.AdascaleError, match='no effort called "extreme"') as error:
            ask("1 + 1?", str(chain_gguf), effort="extreme")  # type: ignore[operator]
        assert error.value.hint == "use one of low, medium, high, max"
    with pytest.raises(adascale.AdascaleError, match="programs that pass tests"):
        adascale.ask("1 + 1?", str(chain_gguf), strategy="passing")
    for ask in (adascale.ask, adascale.code):
        with pytest.raises(adascale.AdascaleError, match="is no Budget") as error:
            ask("1 + 1?", str(chain_gguf), budget=600)  # type: ignore[operator]
        assert error.value.hint == "budget=adascale.Budget(max_tokens=600)"
        with pytest.raises(adascale.AdascaleError, match="no open session"):
            ask("1 + 1?", adascale.Session(adascale.SessionOptions(str(chain_gguf))))  # type: ignore[operator]
    with pytest.raises(ContextOverflowError):
        adascale.ask("word " * 5000, str(chain_gguf), strategy="greedy")


def test_a_search_that_is_left_behind_its_session_ends_in_peace(chain_gguf: Path) -> None:
    with adascale.Session(adascale.SessionOptions(generator=str(chain_gguf), branches=4)) as session:
        events = adascale.search("What is twice 9?", session, strategy=adascale.Vote(8))
        while not isinstance(next(events), StepProposed):
            pass
    assert isinstance(events, Generator)
    events.close()


def test_nothing_is_searched_behind_its_session(chain_gguf: Path) -> None:
    with adascale.Session(adascale.SessionOptions(generator=str(chain_gguf), branches=4)) as session:
        events = adascale.search("What is twice 9?", session, strategy=adascale.Vote(8))
        while not isinstance(next(events), StepProposed):
            pass
    with pytest.raises(adascale.AdascaleError, match="closed"):
        list(events)
    with pytest.raises(adascale.AdascaleError, match="no open session"):
        adascale.ask("What is twice 9?", session, strategy="vote")
