"""Questions with other numbers: the answer is that of the new numbers, and what is unclear is left out."""

from __future__ import annotations

import random

import pytest

from bench.evidence.renumber import UnclearError, renumbered


def renumber(question: str, solution: str, answer: str, seed: int = 1) -> dict[str, str]:
    record = {"id": "q", "question": question, "solution": solution, "answer": answer}
    return renumbered(record, random.Random(seed))


EGGS = (
    "A farm has 48 hens. Each lays 2 eggs; a dozen is 12. How many are left of $1,500 when 36 are sold?",
    "There are 48*2 = <<48*2=96>>96 eggs.\nSo 96-36 = <<96-36=60>>60 are left.\n#### 60",
    "60",
)


def test_the_answer_is_computed_again() -> None:
    answers = set()
    for seed in range(20):
        found = renumber(*EGGS, seed)
        words = found["question"].split()
        hens, sold = int(words[3]), int(words[-3])
        assert int(found["answer"]) == hens * 2 - sold > 0
        assert (hens % 2, sold % 2) == (0, 0)  # as round as they were
        assert " 12. " in found["question"]  # a dozen stays one
        assert "$1,500" in found["question"]  # what the solution does not use stays
        assert found["id"] == "q-renumbered"
        answers.add(found["answer"])
    assert len(answers) > 5
    assert "60" not in answers


def test_thousands_are_written_as_before() -> None:
    found = renumber("Ann has $2,500 and spends 300. What is left?", "<<2500-300=2200>>", "2200")

    assert "," in found["question"].split("$")[1].split()[0]


@pytest.mark.parametrize(
    ("question", "solution", "answer"),
    [
        ("14 apples, 7 a bag?", "14/2=7, so 7+4=11. <<11*2=22>>22", "22"),  # a result without its computation
        ("He has 40 and she has 40.", "<<40+40=80>>", "80"),  # which is which?
        ("He has 40 and gets 20.", "<<40-20=20>><<20+20=40>>", "40"),  # a result equals a given number
        ("He has 40.", "<<40/3=13.33>>", "13.33"),  # rounded
        ("He has 40.", "<<40+5=45>>", "46"),  # not the answer
        ("He has 40.", "no computation", "40"),
        ("He has 12 and 7.", "<<12*7=84>>", "84"),  # nothing is free
        ("He has 40% of 50/50 on the 21st at 18:30.", "<<3*2=6>>", "6"),  # nor here
        ("He has 40.", "<<40*17=680>>", "680"),  # 17 comes from nowhere
        ("He has 40.", "<<40**2=1600>>", "1600"),  # not understood
        ("He has 40.", "<<__import__('os')=1>>", "1"),
    ],
)
def test_what_is_unclear_is_left_out(question: str, solution: str, answer: str) -> None:
    with pytest.raises(UnclearError):
        renumber(question, solution, answer)
