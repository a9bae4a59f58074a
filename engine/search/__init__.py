"""One search from question to answer, and the driver that runs many of them in one decode batch.

``driver`` owns the slots, the batch and the clock. ``search`` is one problem in flight: its plan, its
running branches (``branches``), whose trajectory is drawn and judged when (``turns``), what the
trajectories answer (``judging``). All that happens is an event (``events``), stamped and kept by ``log``
and folded by ``record``, the one read model, which holds the ``tree``. ``scheduling`` says how far draws
run ahead of what is sure to be needed, ``settings`` how to search; ``codec`` is the JSON of it all,
``scoring`` the reward without a model.
"""
