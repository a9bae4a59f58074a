"""One search from question to answer, and the driver that runs many of them in one decode batch.

``driver`` owns the slots, the batch and the clock. ``search`` is one problem in flight: it resumes the plan
of the strategy, whose verdict ends it, and ends it where the budget is spent. Draws are ``waiting`` for a
slot, ``branches`` are being written; ``judging_order`` says which trajectory is judged next and how far
others run ahead, ``leaderboard`` which answer leads.
Everything that happens is an event (``events``); ``record`` stamps, keeps and folds events into the one read
model, which holds the ``tree``; ``reply`` is the text of a single trajectory as it is written, ``account``
says why a search ended and what it saved, ``prefix_outcomes`` how often each prefix led to the correct
answer, ``conversation`` what a follow-up is asked below. ``settings`` says how to search.
"""
