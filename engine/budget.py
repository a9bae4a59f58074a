"""What a search may spend, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one problem's search; None means no limit.

    A limit is overshot by at most one decode batch, and by one solution where none has finished before.

    Attributes:
        max_tokens: Generated tokens of the whole tree.
        max_seconds: Wall time from the problem's start.
    """

    max_tokens: int | None = None
    max_seconds: float | None = None

    def spent(self, generated_tokens: int, seconds: float) -> bool:
        """Whether a limit is reached."""
        return (self.max_tokens is not None and generated_tokens >= self.max_tokens) or (
            self.max_seconds is not None and seconds >= self.max_seconds
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Work done, additive over nodes and problems.

    Attributes:
        prompt_tokens: Prefix tokens that the generator evaluated; a dropped one that comes back counts again.
        reused_tokens: Prefix tokens that another branch had evaluated.
        generated_tokens: Tokens sampled.
        prm_tokens: Tokens evaluated by the process reward model.
        flops: About 2 x parameters that a token is multiplied by x tokens evaluated, of generator and PRM, so
            that a PRM never looks free.
        seconds: Share of the decode and scoring time; a batch's time is split evenly over its branches.
    """

    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    prm_tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.reused_tokens + other.reused_tokens,
            self.generated_tokens + other.generated_tokens,
            self.prm_tokens + other.prm_tokens,
            self.flops + other.flops,
            self.seconds + other.seconds,
        )
