"""The process that hosts the models, so that its death is a message and not the end of a batch.

``client`` is the parent's side and looks like a driver; ``server`` is the worker's side, around a session.
``process`` starts and stops the process, and tells why it ended. The two exchange ``messages``, one line of
JSON each. ``dispatch`` hands out questions and knows which are lost or to blame. ``ray`` has a worker on each
node of a cluster in the place of one.
"""
