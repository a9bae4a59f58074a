"""Views of a running search, which fold its events and draw on stderr.

``views`` chooses one: a live picture, plain lines, or nothing but warnings. ``state`` is the search so far,
``summary`` tells it in words, ``solution`` draws solutions (side by side while they are written, one at the
end), ``tree`` the whole tree.
"""
