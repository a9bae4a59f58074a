r"""Reading the final answer of a solution from its text.

A model may fall into endless white space or braces, so every pattern here takes time in proportion to the
text: what is repeated before something else is never given back (possessive quantifiers).
"""

from __future__ import annotations

import re

from ..types import Finish

_LAST_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:(?:\d+\s?)?\\[dt]?frac\{\d+\}\{\d+\}"
    r"|\$?(?:\d+\s\d+/\d+|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
    r"(?:/\d+|(?:(?::| : )(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)+)?)"
    r"(?:\s?[AaPp]\.?[Mm]\b)?(?![\w]|\.\d))"
)
"""With a fraction, a ratio or a time it is whole: 3/4, 3:2, 3:45 PM."""
_ANSWER_IS = re.compile(
    r"answers?+(?:\s++to\s++(?:the|this|your)\s++\w++)?+[*_]*+\s*+(?:(?:is|are)(?!n['\u2019]t\b|\s++not\b)|=|:)"
    r"\s*+:?(?:[ \t]*+\n\s*+[-\u2022]\s++|\s*+)(?:```\w*+\s|[*$`\s]|\\\[|\\\()*+",
    re.IGNORECASE,
)
_HASHES = re.compile(r"####\s*+(?=.*+\s*+\Z)")
"""In front of the last line: elsewhere it begins a heading of Markdown."""
_SEVERAL_ARE = re.compile(r"\b(?:solutions|roots|zeros)\s++are:?\s++", re.IGNORECASE)
_REST_OF_LINE = re.compile(r".*")
_BRACE = re.compile(r"\\boxed\{|[{}]")
_END_OF_ANSWER = re.compile(
    r"(?<=[\w)}\]$*%°])(?:\.\s|\s(?:because|since)\s"
    r"|[,;]\s(?![-+$\\(]*(?:\d|(?:[dt]?frac|sqrt|pi|infty)(?![a-z]))|\$?[A-Za-z]{1,3}\s*=|\$?[A-Za-z](?:,|\W*$)))"
)
_SURROUND = re.compile(r"^\\[(\[$]|\\[)\]]$")


def extract_answer(text: str) -> str | None:
    r"""The final answer of a solution, or None.

    In this order: the last ``\boxed{}``; the last "answer is ..."; GSM8K's ``####``; on the last line "the
    solutions are ...", or the last number. Surrounding ``$``, emphasis and a final full stop are dropped,
    nothing else is changed.
    """
    boxed = last_boxed(text)
    if boxed is not None:
        return _strip_markup(boxed) or None
    for lead in (_ANSWER_IS, _HASHES):
        for match in reversed([*lead.finditer(text)]):
            rest = _REST_OF_LINE.match(text, match.end())
            # A mark of exclamation at the very end is that of the sentence.
            if rest is not None and (answer := _strip_markup(rest[0].rstrip("! \t"))):
                return _strip_markup(_drop_rest_of_sentence(answer))
    lines = [line for line in text.splitlines() if re.search(r"\w", line)]
    several = _SEVERAL_ARE.search(lines[-1]) if lines else None
    if several and not re.search(r"\.\s", found := lines[-1][several.end() :]):
        return _strip_markup(found) or None
    numbers = _LAST_NUMBER.findall(lines[-1].replace("−", "-")) if lines else []
    return _strip_markup(numbers[-1]) if numbers else None


def solution_answer(text: str, finish: Finish) -> str | None:
    """The final answer of a solution that ended; one that was cut off has one only in a box."""
    return extract_answer(text) if finish == "stop" or last_boxed(text) is not None else None


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{...}`` with balanced braces and something in it, or None."""
    opened: list[re.Match[str]] = []
    last: tuple[int, int] | None = None
    for brace in _BRACE.finditer(text):
        if brace[0] != "}":
            opened.append(brace)
        elif opened and (begin := opened.pop())[0] != "{" and begin.end() < brace.start():
            last = max(last or (0, 0), (begin.end(), brace.start()))
    return text[slice(*last)] if last else None


def _strip_markup(answer: str) -> str:
    """Drop what surrounds an answer: emphasis, dollar signs, LaTeX brackets, a final full stop."""
    answer = answer.strip()
    while (inner := _SURROUND.sub("", answer.strip("*`$ \t")).rstrip(".")) != answer:
        answer = inner
    return answer


def _drop_rest_of_sentence(answer: str) -> str:
    """Keep the number with its unit, the numbers or the values, where a sentence goes on behind."""
    open_, start = 0, 0
    for end in _END_OF_ANSWER.finditer(answer):
        part, start = answer[start : end.start()], end.start()
        open_ += sum(map(part.count, "([{")) - sum(map(part.count, ")]}"))
        if open_ <= 0:  # not within (2, x)
            return answer[:start]
    return answer
