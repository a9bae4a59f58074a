"""Strategies beside each other on the same questions and random numbers, and what became of every prefix.

``contestants`` reads what takes part, ``evaluate`` searches and gives an outcome for each search, ``compare``
makes them a report with intervals, ``tables`` its Markdown and CSV. ``outcomes`` counts for every prefix how
often it ended right, which calibrations are fitted on; ``summary`` is the account of one search.
"""
