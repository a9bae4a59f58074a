"""The terminal itself, below all that is written to it.

``streams`` opens those that are closed, ``console`` writes to them: JSON, warnings and errors. ``text`` fits
text and numbers into cells and cells into columns, ``theme`` says what glyphs and styles look like. Of a
model, ``prose`` shows text as a person reads it, ``markdown`` with its Markdown rendered, ``code`` a program
and what it printed; ``wrapping`` breaks lines while they are written. ``messages`` reads what is typed in a
conversation. ``progress`` shows long work, ``transfer`` downloads; ``signals`` turns Ctrl-C and SIGTERM into
a stop that keeps what is there.
"""
