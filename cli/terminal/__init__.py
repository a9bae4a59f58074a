"""The terminal itself, below all that is written to it.

``streams`` opens those that are closed, ``console`` writes to them: JSON, warnings and errors. ``text`` fits
text and numbers into cells and cells into columns, ``theme`` says what glyphs and styles look like, ``prose``
shows a model's LaTeX and Markdown as a person reads them, ``code`` its programs and what they printed.
``progress`` shows long work, ``transfer`` downloads; ``signals`` turns Ctrl-C and SIGTERM into a stop that
keeps what is there.
"""
