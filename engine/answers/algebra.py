"""The port of computer algebra: it compares two answers that neither texts nor numbers decide.

``models`` puts math-verify here when it is imported. To the engine a comparison remains a function of two
texts: no file, clock or random number comes into it.
"""

from __future__ import annotations

from collections.abc import Callable

Verifier = Callable[[str, str], bool | None]
"""``verifier(gold, answer)``: whether ``answer`` is right where ``gold`` is; None without a verdict in time.

Has to end on any two texts, in any thread.
"""


def _no_verifier(gold: str, answer: str) -> bool | None:
    raise RuntimeError("no verifier compares answers: import adascale.models, or call use_verifier")


_verifier: Verifier = _no_verifier


def use_verifier(verifier: Verifier) -> None:
    """Compare answers by this verifier from now on."""
    global _verifier
    _verifier = verifier


def verify(gold: str, answer: str) -> bool | None:
    """The verifier's verdict."""
    return _verifier(gold, answer)
