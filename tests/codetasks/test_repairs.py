"""What keeps a program from being tested is repaired; what is part of it stays."""

from __future__ import annotations

import pytest

from adascale.codetasks.program import drop_examples, expose_entry_point, mend_imports

F = "def f(n):\n    return n"


def test_a_single_function_gets_the_name_that_tests_call() -> None:
    assert expose_entry_point(F, "square") == f"{F}\n\nsquare = f"


@pytest.mark.parametrize(
    "source",
    [
        F,
        "f = lambda n: n",
        "class f:\n    pass",
        "from math import sqrt as f",
    ],
)
def test_an_entry_point_that_is_there_stays(source: str) -> None:
    assert expose_entry_point(source, "f") == source


@pytest.mark.parametrize(
    "line",
    [
        "print(f(3))",
        "f(3)",
        "assert f(3) == 4",
        "for n in range(3):\n    print(n)",
        "result = f(3)\nresult",
        "exit()",
        "import sys\nsys.exit(0)",
        "n = int(input())\nm = n + 1",
        "if __name__ == '__main__':\n    f(3)",
    ],
)
def test_what_runs_on_import_goes(line: str) -> None:
    assert drop_examples(f"{F}\n\n{line}", "f").removesuffix("\n\nimport sys") == F
    before = drop_examples(f"{line}\n\n{F}", "f")
    assert before.removeprefix("import sys\n").lstrip() == F


def test_functions_that_print_are_called_for_show() -> None:
    source = f"{F}\n\ndef show():\n    print(f(1))\n\ndef main():\n    show()"
    assert drop_examples(f"{source}\n\nmain()", "f") == source


@pytest.mark.parametrize(
    "line",
    [
        "import sys\nsys.setrecursionlimit(10 ** 6)",
        "primes = [2]\nprimes.append(3)",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
        "def build():\n    return {}\n\ncache = build()",
        "numbers = [1, 2]\n\ndef g():\n    return numbers",
        "first = f(1)\n\ndef g():\n    return first",
        "'''The module.'''",
        "def ask():\n    return input()",
    ],
)
def test_what_the_program_needs_stays(line: str) -> None:
    source = f"{F}\n\n{line}"
    assert drop_examples(source, "f") == source


def test_comments_of_what_stays_stay() -> None:
    source = f"# Squares.\n{F}  # slow\n\n# Test cases\nprint(f(1))"
    assert drop_examples(source, "f") == f"# Squares.\n{F}  # slow"


def test_two_statements_on_a_line() -> None:
    assert drop_examples("x = 1; print(x)\ndef f(): return x", "f") == "x = 1\n\ndef f():\n    return x"
    assert drop_examples("print(x)", "f") == "print(x)"


def test_test_cases_of_a_model_go() -> None:
    source = f"import unittest\n\n{F}\n\nclass TestF(unittest.TestCase):\n    pass\n\nunittest.main()"
    assert drop_examples(source, "f") == f"import unittest\n\n{F}"


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("math.sqrt(n)", ["import math"]),
        ("sqrt(n)", ["from math import sqrt"]),
        ("bisect(n, 1)", ["from bisect import bisect"]),
        ("bisect.insort(n, 1)", ["import bisect"]),
        ("datetime.now()", ["from datetime import datetime"]),
        ("datetime.datetime.now()", ["import datetime"]),
        ("re.sub('a', reduce(max, n))", ["import re", "from functools import reduce"]),
        ("unknown(n, numpy.pi)", []),
        ("n.math.sqrt()", []),
    ],
)  # fmt: skip
def test_missing_imports(body: str, lines: list[str]) -> None:
    source = f"def f(n):\n    return {body}"
    assert mend_imports(source) == ("\n".join([*lines, "", source]) if lines else source)


def test_annotations_need_their_imports_and_imports_stand_in_their_place() -> None:
    source = '"""Squares."""\nimport re\n\ndef f(n: List[int]):\n    return re'
    assert mend_imports(source) == source.replace("import re", "from typing import List\nimport re")
    future = "from __future__ import annotations\n\ndef f(n: List[int]):\n    return sqrt(n)"
    lines = "\nfrom typing import List\nfrom math import sqrt\n\n\n"
    assert mend_imports(future) == future.replace("\n\n", lines, 1)
