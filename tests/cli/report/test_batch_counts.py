"""What has become of the questions of a batch, in words."""

from __future__ import annotations

from adascale.cli.report.batch_counts import BatchCounts


def test_what_was_left_out_is_neither_done_nor_there() -> None:
    counts = BatchCounts(read=6, skipped=1, left_out=2, done=2, tokens=20)
    assert (
        next(counts.summary()) == "2 done, 10 tokens a question, 1 there already, 2 left out by --only-failed"
    )
    counts.add_failure("bad-line", "line 6")
    error = counts.error("mend it")
    assert error is not None
    assert error.message == "3 of 6 are done, 1 failed"
    assert counts.settled == 6


def test_a_program_that_fails_a_test_is_not_a_doubtful_answer() -> None:
    counts = BatchCounts()
    for status in ("answered", "failing", "failing", "low_confidence"):
        why = {"fixed_tokens": None}
        counts.add_record({"status": status, "usage": {"generated_tokens": 5}, "why": why})
    assert (counts.done, counts.abstained, counts.failing) == (4, 1, 2)
    assert any(line.startswith("2 of them with a program") for line in counts.summary())
