"""The commands, one file of the same name each.

``models`` are ``pull``, ``list``, ``show`` and ``rm``.
"""
