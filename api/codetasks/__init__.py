"""Code tasks: programs as answers, judged by tests. A satellite: no search of another kind imports it.

``kind`` enters it in the table of kinds (``engine.kinds``), and ``coding`` is its facade. ``task`` has the
words: a test, the suite of a task with its entry point, and the task; ``records`` makes tasks of records and
of tests that a user gives. ``asserts`` reads tests from Python source, ``examples`` from the text of a
problem. ``program`` finds the program in a model's text and mends what keeps it from being tested,
``imports`` adds what it lacks to run. ``harness`` makes tests that run behind the program, and reads the
verdicts. ``syntax`` is what all of them ask about source text. Nothing is executed here.
"""
