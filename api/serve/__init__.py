"""The HTTP server: one worker searches for all clients, whatever protocol they speak.

The way of a request: ``wire`` receives it, ``app`` routes it, and one of the ``protocols`` reads its body
(``bodies``) and its messages (``conversation``). ``served`` turns these into a search (``request``) of the
model. ``hub`` queues the search and runs it in the worker beside those of other clients. ``follow`` gives its
progress and ``outcome`` its result, which the protocol writes.

``agents`` has the tools of MCP, ``page`` the page for browsers. No other command imports this room.
"""
