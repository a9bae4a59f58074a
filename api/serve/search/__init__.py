"""Searches of many clients in one worker, whatever protocol they speak.

``searches`` runs what a client asks for in the ``hub``, which has the searches of all clients in one worker.
``request`` is a question with its options and the model that is served; ``follow`` tells the progress of its
search, with a line of ``progress`` for each step, up to its ``outcome``.
"""
