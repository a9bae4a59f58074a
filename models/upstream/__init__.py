"""Any server as the generator: a model that is the address of a server with OpenAI's chat completions.

``address`` reads and checks it, and has the key; ``client`` runs many streamed completions at once and
brings them back as chunks; ``servers`` has the differences between servers (``servers.toml``), and ``probe``
finds which one this is. ``policy`` makes growth of streams, and ``session`` searches over them, in the place
of ``models.session``.
"""
