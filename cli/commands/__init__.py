"""The commands, one file each; ``evaluate`` is ``eval``, ``calibrate_draw`` the drawing of ``calibrate``."""
