"""The commands, one file each; ``evaluate`` is ``eval``.

Three files are no commands: ``one_search`` is what ``ask`` and ``code`` share, ``ask_server`` is ``ask
--server``, and ``calibrate_draw`` the drawing of ``calibrate``.
"""
