"""Questions of GSM8K's training split with other numbers, to fit on questions that no model has seen.

Usage: ``python -m bench.evidence.renumber gsm8k-train.jsonl -o gsm8k-renumbered.jsonl [--seed 1]``

Models have read the training split: what a calibration learns of how they fare on it is too good for new
questions (docs/research.md). The solutions say how each result was computed, so numbers
can be drawn anew and the answer computed again. A question is left out where that could go wrong: a number
that occurs twice or stands for two things, a result without its computation, one that changes its sign or
stops being whole.
"""

from __future__ import annotations

import argparse
import ast
import json
import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..common import close

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|\.\d+")
COMPUTED = re.compile(r"<<([^=<>]+)=([^<>]+)>>")

BARE = re.compile(r"=(?![^<\n]{0,3}<<)")

# Not part of a longer number, a fraction, a percentage, a time or an ordinal.
FREE = re.compile(r"(?<![\d.,/:])\d+(?:,\d{3})*(?!,\d|\.\d|[\d/:%]| ?percent|st\b|nd\b|rd\b|th\b)")

KNOWN = frozenset({12, 24, 30, 31, 52, 60, 100, 144, 180, 360, 365, 1000})
"""Numbers that people put in without being told: hours, days, dozens, cents."""

SMALLEST = 11
"""Smaller ones are also written as words, and stand for halves and doubles in solutions."""

TRIES = 100

OPERATIONS: Mapping[type[ast.AST], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class UnclearError(Exception):
    """The question cannot be given other numbers with certainty."""


@dataclass(frozen=True, slots=True)
class Computation:
    """An annotated line of a solution: its literals are results before it, free numbers, or constants."""

    expression: str
    result: Fraction

    def literals(self) -> Iterator[Fraction]:
        return map(exact, NUMBER.findall(self.expression))

    def value(self, values: Mapping[Fraction, Fraction]) -> Fraction:
        def replaced(literal: re.Match[str]) -> str:
            old = exact(literal[0])
            return f"({values.get(old, old)})"

        return evaluated(NUMBER.sub(replaced, self.expression))


def exact(text: str) -> Fraction:
    try:
        return Fraction(text.replace(",", "").strip(" $"))
    except ValueError as error:
        raise UnclearError(text) from error


def evaluated(expression: str) -> Fraction:
    """Sums, products and quotients of whole numbers, exactly."""

    def walk(node: ast.AST) -> Fraction:
        match node:
            case ast.Expression(body):
                return walk(body)
            case ast.Constant(int(number)):
                return Fraction(number)
            case ast.BinOp(left, operation, right) if type(operation) in OPERATIONS:
                return OPERATIONS[type(operation)](walk(left), walk(right))
        raise UnclearError(expression)

    try:
        return walk(ast.parse(expression.strip(), mode="eval"))
    except (SyntaxError, ZeroDivisionError) as error:
        raise UnclearError(expression) from error


def computations(solution: str, answer: str) -> list[Computation]:
    found = [Computation(expression, exact(result)) for expression, result in COMPUTED.findall(solution)]
    if not found or found[-1].result != exact(answer):
        raise UnclearError("the last computation does not give the answer")
    if any(line.value({}) != line.result for line in found):
        raise UnclearError("a result was rounded")
    if BARE.search(COMPUTED.sub("<<>>", solution)):
        raise UnclearError("a result was not annotated")
    return found


def free_numbers(question: str, lines: list[Computation]) -> list[re.Match[str]]:
    """Numbers that may be drawn anew: each occurs once, is used, and equals nothing else."""
    everything = [exact(number) for number in NUMBER.findall(question)]
    used = {literal for line in lines for literal in line.literals()}
    if any(
        literal >= SMALLEST for literal in used - set(everything) - KNOWN - {line.result for line in lines}
    ):
        raise UnclearError("a literal comes from nowhere")
    found = []
    for match in FREE.finditer(question):
        value = exact(match[0])
        if value < SMALLEST or value in KNOWN or everything.count(value) > 1 or value not in used:
            continue
        if any(line.result == value for line in lines):
            raise UnclearError("a result equals a given number")
        found.append(match)
    if not found:
        raise UnclearError("no number is free")
    return found


def drawn(old: int, rng: random.Random) -> int:
    """About as large, and as round, as the old one."""
    grain = next(grain for grain in (1000, 100, 50, 10, 5, 2, 1) if old % grain == 0)
    low, high = max(SMALLEST, round(0.6 * old)) // grain, round(1.6 * old) // grain
    return grain * rng.randint(max(low, 1), max(high, 2))


def answers(lines: list[Computation], given: Mapping[Fraction, Fraction]) -> Fraction:
    """The last result under other numbers, where every result keeps its sign and its wholeness."""
    values = dict(given)
    for line in lines:
        value = line.value(values)
        if (value > 0) != (line.result > 0) or 10**4 % value.denominator:
            raise UnclearError("a sign or the decimals changed")
        if line.result.denominator == 1 and value.denominator != 1:
            raise UnclearError("a whole number was lost")
        if values.setdefault(line.result, value) != value:
            raise UnclearError("two results that were equal are not")
    return value


def renumbered(record: Mapping[str, str], rng: random.Random) -> dict[str, str]:
    """The question with other numbers and its answer.

    Raises:
        UnclearError: It cannot be done with certainty.
    """
    lines = computations(record["solution"], record["answer"])
    free = free_numbers(record["question"], lines)
    for _ in range(TRIES):
        new = [drawn(int(exact(match[0])), rng) for match in free]
        given = {exact(match[0]): Fraction(number) for match, number in zip(free, new, strict=True)}
        others = set(map(exact, NUMBER.findall(record["question"]))) - set(given)
        if len(set(given.values())) < len(given) or others & set(given.values()) or set(given) & set(new):
            continue
        try:
            answer = answers(lines, given)
        except UnclearError:
            continue
        if answer.denominator == 1 and answer != lines[-1].result:
            question = record["question"]
            for match, number in reversed(list(zip(free, new, strict=True))):
                text = f"{number:,}" if "," in match[0] else str(number)
                question = question[: match.start()] + text + question[match.end() :]
            return {"id": f"{record['id']}-renumbered", "question": question, "answer": str(answer)}
    raise UnclearError("no other numbers fit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    with args.data.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    found = []
    for record in records:
        try:
            found.append(renumbered(record, random.Random(f"{args.seed} {record['id']}")))
        except UnclearError:
            continue
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found)
    args.output.write_text(text, encoding="utf-8")
    close({"questions": len(records), "renumbered": len(found)})


if __name__ == "__main__":
    main()
