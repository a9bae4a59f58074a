"""The process that hosts the models, so that its death is a message and not the end of a batch.

``client`` is the parent's side: it starts the process, asks questions and yields events. ``server`` is the
worker's side, around a session, and the messages that the two exchange, one line of JSON each. ``ray`` has a
worker on each node of a cluster in the place of one.
"""
