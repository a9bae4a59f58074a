"""What keeps a program from being tested is repaired; what is part of it stays."""

from __future__ import annotations

import pytest

from adascale.codetasks.imports import mend_imports
from adascale.codetasks.program import drop_examples, expose_entry_point
from adascale.engine.execution import Repair

F = "def f(n):\n    return n"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def isPrime(n):\n    return n", "isPrime"),
        ("def prime(n):\n    return n < 2 or prime(n - 1)", "prime"),
        ("def helper(n):\n    return n\n\ndef prime(n):\n    return helper(n)", "prime"),
        # Nothing but main needs it: main is no candidate, and what it calls counts as a helper.
        ("def prime(n):\n    return n\n\ndef main():\n    prime(1)", None),
        ("def a(n):\n    return n\n\ndef b(n):\n    return n", None),
        ("x = 1", None),
    ],
)
def test_a_single_function_gets_the_name_that_tests_call(source: str, name: str | None) -> None:
    found, repairs = expose_entry_point(source, "is_prime")
    assert found == (f"{source}\n\nis_prime = {name}" if name else source)
    assert list(repairs) == ([Repair("entry-point", f"{name} is is_prime")] if name else [])


@pytest.mark.parametrize("source", [F, "f = lambda n: n", "class f:\n    pass", "from math import sqrt as f"])
def test_an_entry_point_that_is_there_stays(source: str) -> None:
    assert expose_entry_point(source, "f") == (source, ())


@pytest.mark.parametrize("method", ["f", "F", "solve"])
def test_a_method_is_called_as_a_function(method: str) -> None:
    source = f"class Solution:\n    def {method}(self, n):\n        return n"
    found, repairs = expose_entry_point(source, "f")
    assert found == f"{source}\n\n\ndef f(*args, **kwargs):\n    return Solution().{method}(*args, **kwargs)"
    assert list(repairs) == [Repair("method", f"Solution.{method} is f")]


def test_a_private_method_is_taken_by_its_name_alone() -> None:
    source = "class Solution:\n    def _f(self, n):\n        return n"
    assert expose_entry_point(source, "_f")[1] == [Repair("method", "Solution._f is _f")]
    assert expose_entry_point(source, "f") == (source, ())


def test_a_method_of_a_class_that_needs_arguments_is_left_alone() -> None:
    source = (
        "class A:\n    def __init__(self, n):\n        self.n = n\n    def f(self):\n        return self.n"
    )
    assert expose_entry_point(source, "f") == (source, ())
    by_keyword = source.replace("self, n", "self, *, n")
    assert expose_entry_point(by_keyword, "f") == (by_keyword, ())


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("print(f(3))", "example"),
        ("f(3)", "example"),
        ("assert f(3) == 4", "example"),
        ("for n in range(3):\n    print(n)", "example"),
        ("result = f(3)\nresult", "example"),
        ("# Example usage:\nprint(f(3))  # 3", "example"),
        ("# Test data\ndata = [1]\nmore = [data]\nprint(f(more))", "example"),
        ("exit()", "example"),
        ("import sys\nsys.exit(0)", "example"),
        ("n = int(input())\nm = n + 1", "input"),
        ("if __name__ == '__main__':\n    f(3)", "main-guard"),
        ("if '__main__' == __name__:\n    f(3)", "main-guard"),
    ],
)
def test_what_runs_on_import_goes(line: str, kind: str) -> None:
    found, repairs = drop_examples(f"{F}\n\n{line}", "f")
    assert found.removesuffix("\n\nimport sys") == F
    assert repairs[0].kind == kind
    before, _ = drop_examples(f"{line}\n\n{F}", "f")
    assert before.removeprefix("import sys\n").lstrip() == F


def test_functions_that_print_are_called_for_show() -> None:
    source = f"{F}\n\ndef show():\n    print(f(1))\n\ndef main():\n    show()"
    assert drop_examples(f"{source}\n\nmain()", "f")[0] == source


@pytest.mark.parametrize(
    "line",
    [
        "LIMIT = 10 ** 9",
        "import sys\nsys.setrecursionlimit(10 ** 6)",
        "primes = [2]\nprimes.append(3)",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
        "def build():\n    return {}\n\ncache = build()",
        "numbers = [1, 2]\n\ndef g():\n    return numbers",
        "first = f(1)\n\ndef g():\n    return first",
        "'''The module.'''",
    ],
)
def test_what_the_program_needs_stays(line: str) -> None:
    source = f"{F}\n\n{line}"
    assert drop_examples(source, "f") == (source, ())


def test_comments_of_what_stays_stay() -> None:
    source = f"# Squares.\n{F}  # slow\n\n# Test cases\nprint(f(1))\n# Output: 1"
    assert drop_examples(source, "f")[0] == f"# Squares.\n{F}  # slow"


def test_two_statements_on_a_line() -> None:
    assert drop_examples("x = 1; print(x)\ndef f(): return x", "f")[0] == "x = 1\n\ndef f():\n    return x"
    assert drop_examples("x = 1; print(x)", "f") == ("x = 1; print(x)", ())


def test_test_cases_of_a_model_go() -> None:
    source = f"import unittest\n\n{F}\n\nclass TestF(unittest.TestCase):\n    pass\n\nunittest.main()"
    assert drop_examples(source, "f")[0] == f"import unittest\n\n{F}"


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("math.sqrt(n)", ["import math"]),
        ("sqrt(n)", ["from math import sqrt"]),
        ("Counter(n)", ["from collections import Counter"]),
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
    found, repairs = mend_imports(source)
    assert [repair.detail for repair in repairs] == lines
    assert found == ("\n".join([*lines, "", source]) if lines else source)


def test_annotations_need_their_imports_and_imports_stand_in_their_place() -> None:
    source = '"""Squares."""\nimport re\n\ndef f(n: List[int]):\n    return re'
    assert mend_imports(source)[0] == source.replace("import re", "from typing import List\nimport re")
    future = "from __future__ import annotations\n\ndef f(n: List[int]):\n    return sqrt(n)"
    assert mend_imports(future)[0] == future.replace("\n\n", "\nfrom math import sqrt\n\n\n", 1)


def test_imports_that_nothing_uses_go() -> None:
    source = f"import numpy as np\nimport math, os\nfrom typing import *\n\n{F} + math.pi"
    found, repairs = mend_imports(source)
    assert found == source.removeprefix("import numpy as np\n")
    assert list(repairs) == [Repair("unused-import", "import numpy as np")]
    assert mend_imports("import math") == ("import math", [Repair("unused-import", "import math")])
