"""Views of a running search: each folds the event stream into a state and draws it on stderr.

``renderer`` opens a view: ``live`` (on a ``display`` that is redrawn four times a second), ``plain`` (lines),
or for many searches those of ``batch``. ``state`` has what a view knows. ``places`` draws the solutions that
are written side by side, and who leads. A tree is drawn in two steps: ``rows`` has the contents of each row,
``lines`` cuts rows to the width; ``frame`` puts the whole picture together. ``solution`` shows one solution,
``summary`` has a search in words, ``ending`` writes both when it has ended.
"""
