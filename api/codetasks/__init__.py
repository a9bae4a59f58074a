"""Code tasks: programs as answers, judged by tests. A satellite: no search of another kind imports it.

``kind`` is its class, which ``adascale`` registers (``engine.kind_table``): it makes tests that run behind a
program, and reads the verdicts; ``coding`` is its facade. ``task`` has the words: a test, the suite of a task
with its entry point, and the task; ``reading`` makes them of records and of Python source. ``program`` finds
the program in a model's text. Nothing is executed here.
"""
