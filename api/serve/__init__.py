"""The HTTP server: one worker searches for all clients, whatever protocol they speak.

The way of a request: ``app`` routes it (``http`` has bodies, refusals, access and the socket). A protocol,
``chat`` and ``responses`` of OpenAI, ``messages`` of Anthropic or ``ollama``, reads its ``body``, of which
``request`` makes a search. ``hub`` runs the search in the worker beside those of other clients. ``stream``
follows its events, and the protocol writes them and the ``outcome``.

``mcp`` has the tools for agents, ``page`` and ``static`` the page for browsers. No other command imports this
room.
"""
