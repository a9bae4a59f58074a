"""Calibrations as files, and what they are fitted on.

``collect`` draws rollouts on questions with known answers, ``rollouts`` keeps them question by question,
``training`` makes them the training data of a fit; where nobody knows the answers, ``labelling`` lets the
solutions label each other. ``session_rollouts`` is all of that for the models of an open session, and
``session_fit`` fits their calibration. ``artefact`` is the file of a calibration with its card; ``installed``
finds the one that belongs to a pair of models and says what does not match, ``shared`` fetches those of
others.
"""
