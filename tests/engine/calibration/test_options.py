"""The posterior of options by their logits and by votes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.calibration.options import OPTIONS, OWN_OPTIONS, OptionWeights
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.types import KindName, Mode, Problem, Turn
from adascale.models.files.catalog import DEFAULT_GENERATOR, catalog

WEIGHTS = OptionWeights(1.0, 0.0, {"prose": 0.4, "program": 0.8}, 1.0, 0.2)
LOGITS = (math.log(0.6), math.log(0.3), math.log(0.1))
CODERS = {name: catalog()[name].sha256 for name in (DEFAULT_GENERATOR, "qwen2.5-coder-0.5b")}

logits = st.lists(st.floats(-30, 0), min_size=2, max_size=6)


def votes(*options: int) -> list[tuple[int, Mode]]:
    return [(option, "prose") for option in options]


@given(logits, st.lists(st.integers(0, 1), max_size=5))
def test_a_posterior_is_a_distribution(seen: list[float], chosen: list[int]) -> None:
    p = WEIGHTS.posterior(seen, votes(*chosen))
    assert sum(p) == pytest.approx(1.0)
    assert min(p) > 0.0


def test_without_votes_the_logits_decide() -> None:
    assert WEIGHTS.posterior(LOGITS, []) == pytest.approx([0.6, 0.3, 0.1], abs=1e-4)


def test_letters_of_small_models_are_trusted_less() -> None:
    for own in OPTIONS.values():
        trusts = [own.of_size(size).trust for size in (0.2e9, 0.8e9, 1.5e9, 7e9)]
        assert trusts == sorted(trusts)
        assert (trusts[0], trusts[-1]) == (0.0, own.trust)


def test_a_look_without_a_text_to_read_says_less_and_nothing_of_the_small_coder() -> None:
    asked, yes = "Is Mars larger than the Earth?", (math.log(0.97), math.log(0.03))
    above = Problem("1", f"Mars has a radius of 3,390 km.\n\n{asked}", kind="yes-no")
    before = Problem("1", asked, kind="yes-no", history=(Turn("user", "Mars?"), Turn("assistant", "It is.")))
    large, small = (OWN_OPTIONS[CODERS[f"qwen2.5-coder-{size}"]]["yes-no"] for size in ("1.5b", "0.5b"))
    assert large.of_problem(above) is large.of_problem(before) is large
    bare = [own.of_problem(Problem("1", asked, kind="yes-no")) for own in (large, small)]
    assert bare[1].posterior(yes, ()) == pytest.approx([0.5, 0.5])
    for own in bare:  # a program that goes against the look counts more than one that follows it
        against, follows = (own.posterior(yes, [(option, "program")])[option] for option in (1, 0))
        assert follows > own.posterior(yes, ())[0]
        assert against > own.posterior(yes, ())[1]


@pytest.mark.parametrize(
    ("kind", "name", "p"),
    [
        ("choice", "", 0.7613),
        ("yes-no", "", 0.5757),
        ("choice", DEFAULT_GENERATOR, 0.7613),
        ("yes-no", DEFAULT_GENERATOR, 0.5757),
        ("choice", "qwen2.5-coder-0.5b", 0.505),
        ("yes-no", "qwen2.5-coder-0.5b", 0.7397),
    ],
)
def test_the_coders_have_weights_of_their_own_and_others_those_of_their_size(
    kind: KindName, name: str, p: float
) -> None:
    assert OWN_OPTIONS.keys() == set(CODERS.values())
    found = Posterior.of_model(kind, 1.5e9, CODERS.get(name, "another"))
    assert found.level == ("fitted" if name else "prior")
    assert found.options is not None
    assert found.options.posterior((-1.0, -2.0), ())[0] == pytest.approx(p, abs=1e-4)
