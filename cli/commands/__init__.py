"""The commands, one file each; ``evaluate`` is ``eval``, and ``calibrate_draw`` draws for ``calibrate``."""
