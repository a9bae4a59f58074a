"""Files that commands read and keep on the disk.

``files`` checks and opens every file that a user names. ``results`` is the output of a batch, ``trace`` the
event log of one search, ``trace_folder`` a folder of them, ``history`` the past runs, and ``sources`` finds
searches for ``export``.
"""
