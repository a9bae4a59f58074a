"""Views of a running search: each folds the event stream into a state and draws it on stderr.

``renderer`` says what a view is and opens one: ``live`` (on a ``display`` that is redrawn four times a
second), ``plain`` (lines), ``jsonl`` (events), or for many searches those of ``batch``. ``state`` is what a
view knows. A tree is drawn in three steps: ``fold`` decides which nodes share a row, ``rows`` says what each
row shows, ``draw`` cuts rows to the width, with ``programs`` for those that take several lines. ``frame``
puts whole pictures together, ``summary`` says a search in words.
"""
