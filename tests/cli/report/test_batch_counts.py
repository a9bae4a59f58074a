"""What has become of the questions of a batch, in words."""

from __future__ import annotations

from adascale.cli.report.batch_counts import BatchCounts


def test_a_program_that_fails_a_test_is_not_a_doubtful_answer() -> None:
    counts = BatchCounts()
    for status in ("answered", "failing", "failing", "low_confidence"):
        why = {"fixed_tokens": None}
        counts.add_record({"status": status, "usage": {"generated_tokens": 5}, "why": why})
    assert (counts.done, counts.abstained, counts.failing) == (4, 1, 2)
    assert any(line.startswith("2 of them with a program") for line in counts.summary())
