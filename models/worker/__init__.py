"""The process that hosts the models, so that its death is a message and not the end of a batch.

``client`` is the parent's side and looks like a driver; ``server`` is the worker's side, around a session.
They exchange ``messages``, one line of JSON each, through ``pipes``, which also tell why a worker ended.
``dispatch`` hands out questions and knows which are lost or to blame. ``ray`` has a worker on each node of a
cluster in the place of one. ``remote`` asks the worker of a running server.
"""
