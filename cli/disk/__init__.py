"""Files that commands read and keep on the disk.

``files`` checks and opens files that a user names, ``results`` is the output of a batch, ``traces`` has the
event logs of searches, and ``runs`` the history of them.
"""
