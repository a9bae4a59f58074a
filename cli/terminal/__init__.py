"""The terminal itself, below all that is written to it.

``streams`` reads stdin and writes to stdout and stderr, ``console`` draws with Rich, ``errors`` shows
errors and warnings, and ``lines`` breaks and cleans what is written. ``text`` makes one harmless line of
what a model wrote, and words of numbers; ``markdown`` renders its prose and its programs. ``messages``
reads what is typed in a conversation. ``progress`` shows long work and downloads; ``signals`` turns Ctrl-C
and SIGTERM into a stop that keeps what is there.
"""
