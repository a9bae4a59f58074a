"""The instructions that ship: compared on fitting questions, docs/LOG.md has the figures."""

from __future__ import annotations

from .chat import Instructions

INSTRUCTIONS = Instructions(
    system=(
        "Solve the problem in short numbered steps of plain text, with a blank line between steps. "
        "Do not write code. End with the final answer in \\boxed{}."
    ),
)
