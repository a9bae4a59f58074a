"""Calibration: from evidence about a prefix to the probability that it ends in a correct answer.

``features`` turns prefixes and finished searches into evidence by name; ``head`` reduces it to a few inputs,
and maps those to quantiles, for each stage of a search. ``options`` weighs looks and votes, ``votes`` are for
models that nobody fitted. ``fit`` makes a calibration and ``metrics`` measure it, which no search needs.
"""
