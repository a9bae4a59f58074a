"""What has become of the questions of a batch, in numbers and in words."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """Counts of one run.

    Attributes:
        read: Lines.
        skipped: Of them, those that had a record already.
        done: Questions that were searched to an end.
        abstained: Of them, those without an answer that is sure enough.
        graded, right: Of them, those whose answer is known, and those that were right.
        tokens, fixed_tokens: Generated, and what a fixed width would have generated.
        failures: By slug.
        interrupted: Whether the run was told to stop.
    """

    read: int = 0
    skipped: int = 0
    done: int = 0
    abstained: int = 0
    graded: int = 0
    right: int = 0
    tokens: int = 0
    fixed_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, record: Mapping[str, Any]) -> None:
        """Take the record of a search that came to its end."""
        tokens = record["usage"]["generated_tokens"]
        self.done += 1
        self.abstained += record["status"] != "answered"
        self.graded += "correct" in record
        self.right += record.get("correct", False)
        self.tokens += tokens
        self.fixed_tokens += record["why"]["fixed_tokens"] or tokens

    def failed(self, slug: str) -> None:
        """Count a failure; bad lines come from the thread that reads."""
        with self._lock:
            self.failures[slug] += 1

    def counts(self) -> str:
        """``12 done, 1 failed, .75 right, 980 tokens a question``."""
        return ", ".join([f"{self.done:,} done", *self.facts()])

    def facts(self) -> list[str]:
        """What there is to tell beside the number that are done."""
        facts = [f"{self.failures.total():,} failed"] if self.failures else []
        if self.graded:
            facts.append(f"{self.right / self.graded:.3f} right")
        if self.done:
            facts.append(f"{self.tokens / self.done:,.0f} tokens a question")
        return facts

    def summary(self) -> Iterator[str]:
        """A few lines for the end."""
        already = f", {self.skipped:,} there already" if self.skipped else ""
        yield self.counts() + already
        if self.abstained:
            yield f"{self.abstained:,} of them without an answer that is sure enough"
        if self.fixed_tokens > self.tokens:
            yield f"{self.tokens:,} tokens; a fixed width would have cost about {self.fixed_tokens:,}"
        for slug, count in self.failures.most_common():
            yield f"{count:,} failed: {slug}"
        if self.interrupted:
            yield "interrupted; the same command goes on from here"
