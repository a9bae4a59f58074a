"""A recorded search as a document, for ``adascale tree``.

``document`` has the facts that every format shows; ``page`` is one HTML page that folds,
``picture`` the tree as the terminal shows it, plain or as an SVG.
"""
