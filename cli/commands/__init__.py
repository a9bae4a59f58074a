"""The commands, one file of the same name each.

``evaluate`` is ``eval``. ``calibrate`` fits and checks; ``calibrations`` lists and shows.
"""
