"""The HTTP server: OpenAI's chat completions in front of one worker that searches for all clients.

``listener`` runs it, ``app`` has the routes, ``guard`` turns away what must not come in. ``fields`` reads the
JSON of a body by name, ``chat`` makes a question of it. ``searches`` runs what a client asks for in the
``hub``, which has the searches of all clients in one worker. ``stream`` makes chunks of a search while it
runs, with a line of ``progress`` for each step; ``completion`` writes its end, and ``connection`` sends it
while there is a client. ``errors`` are in OpenAI's shape, ``json_response`` writes them, and ``metrics``
counts for Prometheus.
"""
