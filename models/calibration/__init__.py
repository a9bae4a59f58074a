"""Calibrations as files, and what they are fitted on.

``collect`` draws rollouts on questions with known answers, ``rollouts`` keeps them question by question,
``training`` makes them the training data of a fit; it does so for the models of an
open session, and fits. ``artefact`` is the file of a calibration with its card; ``installed`` finds the one
that belongs to a pair of models and names what does not match; the folder ``shipped`` has those that come
with adascale.
"""
