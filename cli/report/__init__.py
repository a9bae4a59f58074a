"""Reports that commands print at their end.

``answer`` is one question as text and JSON, ``batch_counts`` the counts of many. ``models_report`` is tables.
"""
