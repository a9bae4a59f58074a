"""Models in another process, so that a crash does not end a batch.

``client`` is the parent's side: it starts the process, sends questions and yields events. ``server`` is the
worker's side, with a session, and has the messages of both, one line of JSON each. ``ray`` runs a worker on
each node of a cluster.
"""
