"""A recorded search as a document, for ``adascale tree``.

``document`` has the search and the facts that every format shows; ``page`` is one HTML page that folds,
``text`` what the terminal shows (plain, or as an SVG picture), ``mermaid`` a flowchart, ``table`` JSON with
every node.
"""
