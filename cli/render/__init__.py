"""Views of a running search, which fold its events and draw on stderr.

``display`` is the live display and the choice of a view; ``views`` are those of one search,
live or as plain lines. ``state`` has what a view knows, ``summary`` says it in words, ``solution`` draws
solutions (side by side while they are written, one at the end), ``tree`` the whole tree.
"""
