"""The terminal, below all text that is written to it.

``streams`` reads stdin and writes to stdout and stderr, ``console`` has the consoles of Rich, and ``errors``
shows errors and warnings. ``text`` makes model text, numbers and paths parts of harmless lines; ``markdown``
renders prose and programs of models. ``messages`` reads the messages of a conversation. ``progress`` shows
long work and downloads; ``signals`` turns Ctrl-C, SIGTERM and Enter into a stop that keeps the answer so far.
"""
