"""math-verify in a child process, so that every comparison ends (``answers.algebra.Verifier``).

https://github.com/huggingface/Math-Verify
"""

from __future__ import annotations

import logging
from typing import Any

from .limited_child import ChildEndedError, LimitedChild, serve

_CHILD = "from adascale.models.algebra_process import serve_verdicts; serve_verdicts()"


def ask_math_verify(gold: str, answer: str) -> bool | None:
    """True if ``answer`` is correct given ``gold``; None without a verdict in time.

    Most comparisons take some hundredths of a second; the first one also starts the child process (.7 s: it
    imports sympy). Safe from any thread; questions of several threads wait for each other.

    Raises:
        AdascaleError: the child process does not start.
    """
    try:
        return bool(_child.ask([gold, answer]))
    except ChildEndedError:
        return None


_child = LimitedChild(_CHILD, "compares answers", "math-verify")


def serve_verdicts() -> None:
    """Run as the child: answer every ``[gold, answer]`` with a verdict until stdin ends."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)

    def verdict(gold: str, answer: str) -> bool:
        def read(text: str) -> list[Any]:
            return list(parse(f"${text}$", parsing_timeout=None))

        try:
            known, found = read(gold), read(answer)
            return bool(known and found and verify(known, found, timeout_seconds=None))
        except Exception:  # sympy raises nearly anything on odd input; odd input is not the same answer
            return False

    verdict("1/2", "0.5")  # what it imports is not charged to a request
    serve(lambda pair: verdict(*pair))
