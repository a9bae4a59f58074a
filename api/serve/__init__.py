"""The HTTP server: one worker that searches for all clients, whatever protocol they speak.

``listener`` runs it, ``app`` has the routes, ``guard`` turns away what must not come in. A protocol is a
``rendering.Dialect``: a table of ``fields`` that reads a body into a ``request.AnswerRequest``, and a
``Rendering`` that writes the answer; there are ``chat``, ``responses`` and ``messages``, and
``openapi`` describes them. ``searches`` runs what a client asks for in the ``hub``, which has the searches of
all clients in one worker. ``follow`` tells the progress of one, with a line of ``progress`` for each step, up
to what was ``found``; ``connection`` sends it while there is a client. ``errors`` have a shape for each
protocol, and ``metrics`` counts for Prometheus. ``event_log`` streams a search as it is, which ``page`` draws
in a browser, and ``mcp`` has the tools for agents.
"""
