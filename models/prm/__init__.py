"""Process reward models.

``formats`` has the table of formats, binds them to models and chooses a model's format. ``scorer`` has the
script of a format and scores steps.
"""
