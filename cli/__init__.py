"""The command line: the only layer that prints and exits, and that reads settings from the environment.

``app`` has the table of commands, ``exit_codes`` every exit code. The rooms need each other in one direction,
each only those before it: ``terminal`` (streams, signals, progress, text), ``disk`` (results, traces, run
history), ``report`` (what is printed at the end), ``render`` (what is shown during a search), ``documents``
(a recorded search as a page, a picture or JSON), ``options`` (what a user may type), ``searching`` (how a
command runs a search), ``commands`` (one file each).
"""
