"""The HTTP server: one worker searches for all clients, whatever protocol they speak.

The way of a request: ``app`` routes it (``http`` has bodies, refusals, access and the socket). ``body`` reads
it under the names of every protocol, and ``request`` makes a search of it. ``hub`` runs the search in the
worker beside those of other clients. ``stream`` follows its events, and a protocol writes them and the
``outcome``: ``chat`` and ``responses`` of OpenAI, ``messages`` of Anthropic, or ``ollama``.

``mcp`` has the tools for agents, ``page`` and ``static`` the page for browsers. No other command imports this
room.
"""
