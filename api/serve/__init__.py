"""The HTTP server: one worker that searches for all clients, whatever protocol they speak.

A request comes in over the ``wire``, and ``app`` routes it. One of the ``protocols`` reads its body
(``bodies``): messages into a ``conversation``, and with the other fields that is what is asked (``request``)
of the model (``served``). ``hub`` queues the search and runs it in the worker with those of all clients;
``follow`` tells its progress and ``outcome`` its result (``calls`` those of tools), which the protocol
writes. ``agents`` get tools of their own, browsers the ``page``.

The room depends on the core through searches, records and settings; no other command imports it.
"""
