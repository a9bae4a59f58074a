"""What has become of the questions of a batch, in numbers and in words."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adascale.engine.errors import PartialError

_NAMED = 5


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
        failed_names: Of each slug the first few questions or lines.
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
    failed_names: dict[str, list[str]] = field(default_factory=dict)
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

    def failed(self, slug: str, name: str) -> None:
        """Count a failure; bad lines come from the thread that reads."""
        with self._lock:
            self.failures[slug] += 1
            names = self.failed_names.setdefault(slug, [])
            if len(names) < _NAMED:
                names.append(name)

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

    def failure(self, hint: str) -> PartialError | None:
        """What failed, and a ``hint`` how to go on; None where nothing did."""
        if not self.failures:
            return None
        facts = []
        for slug, count in self.failures.most_common():
            names = self.failed_names[slug]
            more = f" and {count - len(names):,} more" if count > len(names) else ""
            facts.append(f"{slug}: {', '.join(names)}{more}")
        answered, failed = self.done + self.skipped, self.failures.total()
        return PartialError(
            f"{answered:,} of {answered + failed:,} are done, {failed:,} failed", *facts, hint=hint
        )
