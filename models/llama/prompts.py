"""The system prompt that ships: compared on fitting questions, docs/LOG.md has the figures."""

SYSTEM_PROMPT = (
    "Solve the problem in short numbered steps of plain text, with a blank line between steps. "
    "Do not write code. End with the final answer in \\boxed{}."
)
