"""The sampler: its usual numbers, those of a calibration, and the user's own."""

from __future__ import annotations

from adascale.models.options import SamplingOverrides, SamplingParams


def test_what_is_asked_for_comes_before_what_was_fitted_and_that_before_the_usual() -> None:
    fitted = SamplingParams.from_record({"temperature": 0.8, "top_k": 40, "max_tokens": 512})
    sampler = SamplingOverrides(max_tokens=100).over(fitted, 0)
    assert sampler == SamplingParams(temperature=0.8, top_k=40, top_p=0.95, max_tokens=100)


def test_the_record_of_a_sampler_makes_it_again() -> None:
    sampler = SamplingParams(temperature=0.7, max_tokens=99)
    assert SamplingParams.from_record(sampler.record()) == sampler


def test_min_p_is_part_of_what_a_calibration_is_fitted_for_where_it_is_on() -> None:
    assert "min_p" not in SamplingParams().record()
    fitted = SamplingParams.from_record(SamplingParams(min_p=0.1).record())
    assert fitted.min_p == 0.1
    assert SamplingOverrides(min_p=0.0).over(fitted, 0).min_p == 0.0
