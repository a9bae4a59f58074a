"""What a session reads and leaves behind, what one search leaves to the next, and its options."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from scripted import judging

import adascale
from adascale.engine.calibration.posterior import VOTES, rate_of_size
from adascale.engine.errors import CalibrationError, UsageError
from adascale.engine.search.events import BranchStarted
from adascale.engine.types import Mode, SamplingChange
from adascale.models.files.catalog import CardSampling
from adascale.models.files.library import ModelFile
from adascale.models.llama import stepcost
from adascale.models.llama.stepcost import StepCosts
from adascale.models.options import (
    SHORT,
    THINK_TOKENS,
    Reporting,
    SamplingParams,
    SessionOptions,
    samplers,
)
from adascale.models.session import Session


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_an_abort_ends_one_search_and_not_the_next(chain_gguf: Path) -> None:
    with Session(adascale.SessionOptions(str(chain_gguf), branches=2)) as session:
        events = adascale.search("What is twice 9?", session, strategy="greedy")
        next(events)
        session.abort.set()
        *_, last = events
        assert isinstance(last, adascale.SearchFinished)
        assert last.result.stop_reason == "interrupted"
        assert adascale.ask("What is twice 9?", session, strategy="greedy").answer == "18"


def test_the_machine_is_measured_until_no_other_work_disturbs_it_and_never_again(
    chain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> list[str]:
        texts: list[str] = []
        with Session(SessionOptions(str(chain_gguf), branches=2), Reporting(texts.append)):
            return [text for text in texts if "Measuring" in text]

    rough = iter([True, False])
    monkeypatch.setattr(
        stepcost, "measure", lambda context: StepCosts({1: 1.0, 2: 2.0}, is_rough=next(rough))
    )
    assert [len(said()) for _ in range(3)] == [1, 1, 0]


def test_two_searches_of_a_session_do_not_run_at_the_same_time(chain_gguf: Path) -> None:
    with Session(adascale.SessionOptions(str(chain_gguf), branches=2)) as session:
        left = adascale.search("What is twice 9?", session, strategy="greedy")
        while not isinstance(next(left), BranchStarted):
            pass
        with pytest.raises(UsageError, match="another search of this session has not ended"):
            adascale.ask("What is twice 9?", session, strategy="greedy")
        assert isinstance(left, Generator)
        left.close()
        assert adascale.ask("What is twice 9?", session, strategy="greedy").answer == "18"


@pytest.mark.parametrize(
    ("knows", "by_votes", "modes"),
    [
        (("prose", "program"), False, ("prose", "program")),
        (("prose",), False, ("prose",)),
        (None, True, ("program", "prose")),
        (None, False, ("prose",)),
    ],
)
def test_auto_may_draw_what_a_calibration_knows_or_votes_judge(
    knows: tuple[Mode, ...] | None, by_votes: bool, modes: tuple[Mode, ...]
) -> None:
    judge = judging("value", 0.5)
    if knows:
        judge = replace(judge, head=SimpleNamespace(modes=knows))  # type: ignore[arg-type]
    session: Any = Session(SessionOptions())
    session.posteriors = {"value": judge} if knows or by_votes else {}
    assert session.modes == modes


def thinker(tmp_path: Path, template: str) -> str:
    return str(tiny.write_chain(tmp_path / "thinker.gguf", tiny.THINKER_FOR_EVER, 8192, template))


THINKS = f"{tiny.CHATML}<think>\n{{# </think> #}}"


@pytest.mark.parametrize(
    ("think", "tokens"), [(0, 0), (64, 64), pytest.param(None, THINK_TOKENS, marks=pytest.mark.slow)]
)
def test_a_session_thinks_as_it_is_told(tmp_path: Path, think: int | None, tokens: int) -> None:
    options = SessionOptions(thinker(tmp_path, THINKS), branches=2, think=think, calibration="none")
    with Session(options) as session:
        answer = adascale.ask("What is twice 9?", session, strategy="greedy")
        assert answer.answer == "18"
        assert {each.think_tokens for each in session.sampling.values()} == {tokens}
        assert session.fingerprints["value"].sampling.get("think_tokens", 0) == tokens
        assert not session.conditions("value").warnings


def no_model(ref: str, **_: object) -> ModelFile:
    raise AssertionError(f"{ref} was looked for")


def test_a_calibration_that_cannot_be_used_is_told_before_a_model_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adascale.models.session.resolve", no_model)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"torn")
    with pytest.raises(CalibrationError, match="is missing"):
        _ = Session(SessionOptions(calibration=str(tmp_path / "nowhere"))).files
    with pytest.raises(CalibrationError, match="cannot be read"):
        _ = Session(SessionOptions(calibration=str(torn))).files
    with pytest.raises(UsageError, match="leaves nothing to calibrate"):
        _ = Session(SessionOptions(calibration=str(torn), prm="none")).files


def test_a_model_that_nobody_fitted_goes_by_votes_from_its_size(chain_gguf: Path) -> None:
    with Session(SessionOptions(str(chain_gguf), branches=2)) as session:
        expected = rate_of_size(session.model.info.effective_parameters)
        assert expected < 0.3  # a tiny model
        for kind, prior in (("value", expected), ("fact", VOTES["fact"].prior)):
            described = session.conditions(kind).models.calibration
            assert described is not None
            assert (described["level"], described["prior"]) == ("prior", round(prior, 3))
        assert session.conditions("code").models.calibration is None
        assert session.sampling["prose"] == SamplingParams(), "not the short one of options"
        asked = adascale.ask("What is twice 9?", session)
        assert session.modes == ("program", "prose")
        assert asked.confidence is not None
    for scores in ({"calibration": "none"}, {"prm": "none"}):
        with Session(SessionOptions(str(chain_gguf), branches=2, **scores)) as session:
            assert session.conditions("value").models.calibration is None
            assert session.modes == ("prose",)


def test_what_is_asked_for_comes_before_the_card_and_that_before_the_usual() -> None:
    usual, card = SamplingParams(top_k=9, min_p=0.1), {"usual": {"top_k": 5, "max_tokens": 512}}
    sampler = samplers(SessionOptions(sampling=SamplingChange(max_tokens=100)), usual=usual, card=card)[
        "prose"
    ]
    assert sampler == SamplingParams(top_k=5, min_p=0.1, max_tokens=100)


def test_the_record_of_a_sampler_makes_it_again() -> None:
    sampler = SamplingParams(temperature=0.7, max_tokens=99)
    assert SamplingParams(**sampler.record()) == sampler


def test_a_filter_is_part_of_what_a_calibration_is_fitted_for_where_it_is_on() -> None:
    assert "min_p" not in SamplingParams().record()
    assert SamplingParams(**SamplingParams(min_p=0.1).record()).min_p == 0.1
    assert SamplingParams(**SamplingParams(repeat_penalty=1.1).record()).repeat_penalty == 1.1


CARD: CardSampling = {
    "usual": {"temperature": 0.7, "presence_penalty": 1.5, "greedy": 0.6},
    "maths": {"temperature": 1.0, "top_p": 1.0},
    "thinking": {"temperature": 0.9},
}


def test_the_sampler_is_that_of_the_models_card_below_what_is_asked_for() -> None:
    found = samplers(SessionOptions(), card=CARD)
    assert {found[name].temperature for name in ("prose", "program", "date", "check")} == {1.0}
    assert {found[name].presence_penalty for name in ("text", "fact", "json", "call", "code")} == {1.5}
    assert (found["fact"].max_tokens, found["text"].top_k) == (SHORT["fact"], SamplingParams().top_k)
    asked = samplers(SessionOptions(sampling=SamplingChange(temperature=0.2)), card=CARD)
    assert {each.temperature for each in asked.values()} == {0.2}
    assert asked["text"].presence_penalty == 1.5
    assert {each.temperature for each in samplers(SessionOptions(), 64, card=CARD).values()} == {0.9}
    assert samplers(SessionOptions(), card={"usual": {"top_k": 5}})["prose"].top_k == 5


def test_a_reply_in_a_conversation_may_be_longer_than_a_solution_unless_its_length_is_given() -> None:
    options = SessionOptions(purpose="conversation")
    assert (samplers(options)["text"].max_tokens, samplers(options)["prose"].max_tokens) == (2048, 768)
    assert samplers(SessionOptions())["text"].max_tokens == 768
    short = replace(options, sampling=SamplingChange(max_tokens=9))
    assert {each.max_tokens for each in samplers(short).values()} == {9}


def test_a_session_takes_the_sampler_of_the_family_of_its_file(
    chain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adascale.models.files.library.sampling_of", lambda *_: CARD)
    with Session(SessionOptions(str(chain_gguf), branches=2)) as session:
        assert session.fingerprints["value"].sampling["top_p"] == 1.0
        told = session.conditions("fact").models.sampling
        assert told is not None
        assert told["presence_penalty"] == 1.5
