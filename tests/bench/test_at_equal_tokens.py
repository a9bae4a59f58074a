"""Rules at the same tokens, over several cells, question by question."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.evidence.at_equal_tokens import Cell, at_tokens, means


def questions(*rows: tuple[float, float]) -> Any:
    """``[questions, 4]``: right, tokens, and as many seconds and FLOPs."""
    return np.array([(right, tokens, tokens, tokens) for right, tokens in rows])


def test_a_mixture_costs_what_it_should_and_is_as_right_as_its_shares() -> None:
    family = np.stack([questions((0.0, 100.0), (1.0, 100.0)), questions((1.0, 300.0), (1.0, 300.0))])

    assert at_tokens(family, 200.0) == pytest.approx([0.75, 200.0, 200.0, 200.0])
    assert at_tokens(family, 50.0) == pytest.approx([0.5, 100.0, 100.0, 100.0])  # there is no cheaper one
    assert at_tokens(family, 900.0) == pytest.approx([1.0, 300.0, 300.0, 300.0])


def test_every_question_counts_alike_and_tokens_are_equal_cell_by_cell() -> None:
    def play_cell(ours: Any, *others: Any) -> Any:
        return Cell("x", {"adaptive": ours}, {"vote": np.stack(others)})

    cells = [
        play_cell(questions((1.0, 100.0)), questions((0.0, 100.0)), questions((1.0, 200.0))),
        play_cell(questions((0.0, 300.0)).repeat(3, axis=0), questions((1.0, 300.0)).repeat(3, axis=0)),
    ]
    every = [np.arange(one.questions) for one in cells]

    assert means(cells, "adaptive", every) == pytest.approx([0.25, 250.0, 250.0, 250.0])
    assert means(cells, "vote=", every) == pytest.approx([0.75, 250.0, 250.0, 250.0])
