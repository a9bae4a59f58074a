"""Strategies beside each other on the same questions and random numbers, and what became of every prefix."""
