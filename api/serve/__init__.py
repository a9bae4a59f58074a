"""The HTTP server: OpenAI's chat completions in front of one worker that searches for all clients.

``listener`` runs it, ``app`` has the routes, ``guard`` turns away what must not come in. ``fields`` reads the
body of a request by name, ``chat`` makes a question of it. ``hub`` has the searches of all clients in one
worker; ``progress`` tells one as lines, ``completion`` writes its end, and ``stream`` sends both as they
happen. ``errors`` are in OpenAI's shape, ``metrics`` in Prometheus'.
"""
