"""Sandboxes for programs of a model, with limits on time, memory and output.

``cpython`` runs each program in a new process; ``confine`` runs in that process and gives up its rights, by
limits, file rules and a filter of system calls that the kernel enforces. ``executor`` chooses between it and
monty, an interpreter without access to the system.
"""
