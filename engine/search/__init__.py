"""One search from question to answer, and the driver that runs many of them in one decode batch.

``driver`` owns the slots, the batch and the clock. ``search`` is one problem in flight: it resumes the plan,
and decides its end. ``draws`` wait for a slot, ``branches`` run, ``programs`` are executed between batches;
``turns`` says which trajectory is judged next and how far others run ahead, ``leaderboard`` which answer
leads. Everything that happens is an event (``events``); ``record`` stamps, keeps and folds events into the
one read model, which holds the ``tree``; ``reply`` is the text of a single trajectory as it is written,
``account`` says what a search has saved, ``outcomes`` how often each prefix led to the correct answer.
``settings`` says how to search.
"""
