"""Fits calibrations and measures them, for ``calibrate`` and ``eval``; no search needs it.

``head`` fits the heads of one stage, ``calibration`` all stages and the answer, ``options`` the weights of
looks and votes. ``metrics`` has the measures, weighted by question, ``report`` those of a whole calibration;
``level`` says how often a model is correct on its user's questions.
"""
