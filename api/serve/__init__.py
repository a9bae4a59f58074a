"""The HTTP server: one worker that searches for all clients, whatever protocol they speak.

``listener`` runs it, ``app`` has the routes, ``openapi`` describes them, and ``metrics`` counts for
Prometheus. The rooms, each of which may need those before it: ``page`` is for a browser, ``http`` reads
requests and refuses those that must not come in, ``search`` runs them in the worker, ``protocols`` are those
of OpenAI and Anthropic and our own event log, and ``mcp`` has the tools for agents.
"""
