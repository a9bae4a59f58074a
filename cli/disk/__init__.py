"""Files that commands read and keep on the disk.

``files`` checks and opens every file that a user names. ``results`` is the output of a batch, ``traces`` the
event logs of searches: one, a folder of them, and the past runs.
"""
