"""Calibrations as files, and the data to fit them on.

``artefact`` reads and writes a calibration with its card, finds the calibration of a pair of models and warns
of differences from its fit; the folder ``shipped`` has the calibrations that come with adascale. ``rollouts``
draws and keeps searches of questions with known answers, and ``training`` fits a calibration on them for the
model of an open session, a file or behind a server.
"""
