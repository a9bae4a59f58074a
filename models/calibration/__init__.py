"""Calibrations as files: the artefact, those that are installed, and the rollouts that they are fitted on."""
