"""Rows of a table in, a label with a probability out, and the doubtful ones to a person.

``tables`` reads and writes tables, ``task`` has the prompt and makes labels of the model's scores,
``labelling`` reads every text once and decides, and ``promise`` finds the threshold that known rows vouch
for. The models' side is ``adascale.models.labelling``.
"""
