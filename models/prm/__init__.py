"""Process reward models: an adapter is a text format and a readout, and ``FORMATS`` names each in one table.

``formats`` has the table, makes the adapters and chooses the format of a model. ``scorer`` cuts a PRM's text
into pieces, and scores the steps of every format.
"""
