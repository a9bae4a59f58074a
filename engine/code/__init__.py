"""Programs as answers: tests that a user gives, the program in a model's text, and what running both says.

``suite`` has the words: a test, and the suite of a task with its entry point. ``test_files`` reads tests from
Python source, ``examples`` from the text of a problem. ``extraction`` finds the program in a model's text,
``repairs`` mends what keeps it from being tested, ``missing_imports`` what it forgot to import. ``harness``
joins a program and tests into one source, and reads verdicts in what running that source printed. ``syntax``
is what all of them ask about source text. Nothing is executed here.
"""
