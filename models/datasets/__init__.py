"""Sampled questions from the stores, and datasets as files.

``from_rollouts`` and ``from_draws`` read what calibrations and evaluations keep; ``files`` writes a dataset
as JSON Lines or parquet, each file complete or not at all.
"""
