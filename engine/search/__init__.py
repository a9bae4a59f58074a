"""One search from question to answer, and the driver that runs many of them in one decode batch.

``driver`` owns the slots, the batch and the clock. ``search`` is one problem in flight: its plan and its
running branches; ``turns`` says which trajectory is drawn and counted next, ``leaderboard`` which answer
leads. Everything that happens is an event (``events``); ``record`` stamps, keeps and folds events into the
one read model, which holds the ``tree``; ``account`` says what a search has saved, ``outcomes`` how often
each prefix ended right. ``scheduling`` says how far draws run ahead of those that are sure to be needed,
``settings`` how to search.
"""
