"""Views of a running search, which fold its events and draw on stderr.

``views`` chooses the output: a live picture, plain lines, or warnings alone. ``state`` is the search so far,
``summary`` tells it in words, ``picture`` draws its tree and its solution, ``closing`` writes its end.
"""
