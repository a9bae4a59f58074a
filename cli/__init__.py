"""The command line: words, flags and settings in, text and exit codes out.

``app`` has the table of commands, ``exit_codes`` every exit code. The rooms need each other in one direction,
each only those before it: ``terminal`` (streams, signals, progress, text), ``disk`` (results, traces, run
history), ``render`` (what is shown during a search), ``options`` (what a user may type), ``commands`` (one
file each). ``asking`` reads the question, ``opening`` opens the models, ``searching`` runs a search, and
``report`` prints its end.
"""
