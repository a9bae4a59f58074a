"""A recorded search as a document, for ``adascale tree``.

``document`` has the search and the facts that every format shows; ``page`` is one HTML page that folds,
``text`` the tree as the terminal shows it, plain or by ``picture`` as an SVG, ``nodes`` JSON with every node.
"""
