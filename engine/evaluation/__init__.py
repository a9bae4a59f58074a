"""Strategies beside each other on the same questions and random numbers.

``contestants`` reads what takes part, ``evaluate`` searches and gives an outcome for each search, ``judging``
says which trajectories are right, ``compare`` makes them a report with intervals, ``tables`` its Markdown and
CSV.
"""
