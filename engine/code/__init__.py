"""Programs as answers: tests that a user gives, the program in a model's text, and what running both says.

``suite`` has the words: a test, the suite of a task with its entry point, and the task. ``asserts`` reads
tests from Python source (``pytest_forms`` rewrites what they need of pytest, ``own_imports`` what they import
of the program), ``examples`` from the text of a problem, ``task`` from a record of a file of questions;
``assembly`` makes a suite of them, and ``statement`` shows it to a generator.
``extraction`` finds the program in a model's text, ``repairs`` and ``imports`` mend what keeps it from being
tested. ``harness`` joins a program and its tests into one source, and reads verdicts in what running that
source printed; a ``trial`` is a program with its verdicts. ``syntax`` is what all of them ask about source
text. Nothing is executed here.
"""
