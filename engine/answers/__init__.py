"""Answers of solutions.

``extract`` finds the answer in a text, ``program`` a program and the answer in its output; ``equality``
compares two: ``latex`` has their normal form, ``moments`` reads dates, times and amounts, and a port
of computer algebra compares them if texts and numbers do not decide. ``choosing`` groups the answers of a
search, and ``sums`` computes the equations of a step again.
"""
