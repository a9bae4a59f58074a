"""Calibrations as files, and what they are fitted on.

``artefact`` is the file of a calibration with its card: it finds the one that belongs to a pair of models and
names what does not match; the folder ``shipped`` has those that come with adascale. ``rollouts`` draws and
keeps searches of questions with known answers, and ``training`` fits a calibration on them for the model of
an open session, a file or behind a server.
"""
