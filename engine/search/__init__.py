"""One search from question to answer, and the driver that runs many of them in one decode batch.

``driver`` decodes batches for the branches of all searches. ``search`` is one question: it takes what its
branches write in the order of its own clock, scores it, judges the answers, and resumes the plan of the
strategy, whose verdict ends it. Everything that happens is an event (``events``); ``record`` folds them into
the one read model, which holds the ``tree``.
"""
