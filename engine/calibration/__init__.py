"""Calibration: from evidence about a prefix to the probability that it ends in a correct answer.

``posterior`` judges every kind of question, by votes and words or by a fitted head; ``options`` weighs
options that are read. ``features`` turns prefixes and finished searches into evidence by name, ``head`` maps
it to an estimate for each stage of a search. ``fit`` makes heads, ``votes`` fits weights without one, and
``metrics`` measures both, which no search needs.
"""
