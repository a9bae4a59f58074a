"""Calibration: turning what is seen of a prefix into the probability that it ends in a right answer."""
