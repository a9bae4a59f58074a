"""Comparison of strategies on the same questions and random numbers.

``evaluate`` parses the list of strategies, searches, and gives an outcome for each search; it also says
which trajectories and prefixes led to the correct answer. ``compare`` makes a report with intervals of the
outcomes.
"""
