"""Comparison of strategies on the same questions and random numbers.

``evaluate`` parses the list of strategies, searches, and gives an outcome for each search. ``compare`` makes
a report with intervals of the outcomes.
"""
