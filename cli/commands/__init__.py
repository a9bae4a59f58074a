"""The commands, one file each; ``evaluate`` is ``eval``, and ``calibrations`` a part of ``calibrate``."""
