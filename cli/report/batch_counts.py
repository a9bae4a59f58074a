"""Counts of the questions of a batch, in numbers and in words."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adascale.engine.errors import PartialError

_MOST_NAMES = 5
"""Failures of one kind that are named; the others are counted."""


@dataclass(slots=True)
class BatchCounts:
    """Counts of one run.

    Attributes:
        read: Lines that were read.
        skipped: Lines that had a record already.
        kept: Failed records of other questions, from earlier runs, which stay.
        done: Questions that were searched to an end.
        abstained: Questions that were done without an answer that is sure enough.
        failing: Code tasks that were done with a program that fails a test.
        handed_on: Questions that were done with the answer of another server.
        graded: Questions that were done and whose answer is known.
        right: Graded questions with a correct answer.
        tokens: Generated for all that are done.
        fixed_tokens: Tokens that a fixed number of solutions would have cost.
        failures: Questions and lines that failed, by the slug of their error.
        failure_names: The first few ids or line numbers, by slug.
        interrupted: The run was stopped.
    """

    read: int = 0
    skipped: int = 0
    kept: int = 0
    done: int = 0
    abstained: int = 0
    failing: int = 0
    handed_on: int = 0
    graded: int = 0
    right: int = 0
    tokens: int = 0
    fixed_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failure_names: dict[str, list[str]] = field(default_factory=dict)
    interrupted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def failed(self) -> int:
        """Number of questions and lines that failed."""
        return self.failures.total()

    @property
    def settled(self) -> int:
        """Number of questions and lines that need nothing more in this run."""
        return self.done + self.failed + self.skipped

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Count a search that came to its end, by its record (``adascale.answer/1``)."""
        tokens = record["usage"]["generated_tokens"]
        self.done += 1
        self.abstained += record["status"] not in ("answered", "failing")
        self.failing += record["status"] == "failing"
        self.handed_on += "fallback" in record
        self.graded += "correct" in record
        self.right += record.get("correct", False)
        self.tokens += tokens
        self.fixed_tokens += record["why"]["fixed_tokens"] or tokens

    def add_failure(self, slug: str, name: str) -> None:
        """Count a failure of the question or line ``name``; safe from any thread."""
        with self._lock:
            self.failures[slug] += 1
            names = self.failure_names.setdefault(slug, [])
            if len(names) < _MOST_NAMES:
                names.append(name)

    def headline(self) -> str:
        """``12 done, 1 failed, 75 % correct, 980 tokens a question``."""
        return ", ".join([f"{self.done:,} done", *self.facts()])

    def facts(self) -> list[str]:
        """Failures, share of right answers and tokens a question, where there are any."""
        facts = [f"{self.failed:,} failed"] if self.failures else []
        if self.graded:
            facts.append(f"{100 * self.right / self.graded:.0f} % correct")
        if self.done:
            facts.append(f"{self.tokens / self.done:,.0f} tokens a question")
        return facts

    def not_asked(self) -> str:
        """``3 there already``."""
        return f"{self.skipped:,} there already"

    def summary(self) -> Iterator[str]:
        """Up to six lines for the end of the run."""
        yield self.headline() + (f", {self.not_asked()}" if self.skipped else "")
        if self.abstained:
            yield f"{self.abstained:,} of them not sure enough"
        if self.failing:
            yield f"{self.failing:,} of them with a program that fails a test"
        if self.handed_on:
            yield f"{self.handed_on:,} of them answered by the fallback"
        if self.fixed_tokens > self.tokens:
            saved = self.fixed_tokens - self.tokens
            yield f"{self.tokens:,} tokens, about {saved:,} fewer than all solutions"
        if self.kept:
            yield f"failed records of questions that are not among these, which stay: {self.kept:,}"

    def error(self, hint: str) -> PartialError | None:
        """The error of a run with failures, with a ``hint`` how to go on; None without failures."""
        if not self.failures:
            return None
        facts = []
        for slug, count in self.failures.most_common():
            names = self.failure_names[slug]
            more = f" and {count - len(names):,} more" if count > len(names) else ""
            facts.append(f"{slug}: {', '.join(names)}{more}")
        answered = self.done + self.skipped
        return PartialError(
            f"{answered:,} of {self.settled:,} are done, {self.failed:,} failed", *facts, hint=hint
        )
