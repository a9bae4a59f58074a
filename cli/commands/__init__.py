"""The commands, one file of the same name each.

``evaluate`` is ``eval``, and ``models`` are ``pull``, ``list``, ``show`` and ``rm``.
"""
