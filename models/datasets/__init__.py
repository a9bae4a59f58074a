"""Sampled questions from the stores, and datasets as files."""
