"""Comparison of strategies on the same questions and random numbers.

``contestants`` parses the list of strategies, ``evaluate`` searches and gives an outcome for each search,
``compare`` makes a report with intervals, ``tables`` its Markdown.
"""
