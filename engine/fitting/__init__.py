"""Fits calibrations and measures them, for ``calibrate`` and ``eval``; no search needs it.

``head`` fits the heads of one stage, ``calibration`` all stages and the answer. ``metrics`` has the metrics,
weighted by question, and ``report`` applies them to a whole calibration.
"""
