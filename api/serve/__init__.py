"""The HTTP server: one worker that searches for all clients, whatever protocol they speak.

A request comes in by ``listener`` and ``guard``, is read by a route of ``app``, with the limits of ``http``
and the models of ``fields``, and becomes an ``Ask`` (``request``). ``hub`` queues and runs it in the worker
with those of all clients, ``follow`` tells its progress and ``outcome`` its result. ``chat`` and
``responses`` (OpenAI) and ``messages`` (Anthropic) share ``protocol``; ``event_stream`` streams the event log
as it is, for ``ask --server`` and for the ``page``. ``tools`` are for agents, by ``mcp`` over stdio and at
the ``endpoint`` ``/mcp``.

The room depends on the core through searches, records and settings; no other command imports it.
"""
