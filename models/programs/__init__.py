"""Programs that a model writes, run where they can do no harm, with limits on time, memory and output.

``cpython`` runs each program in a process of its own, which the kernel holds: ``confine`` runs inside, and
lists the system calls that are left. ``executor`` gives a program to it, or runs it in monty, an
interpreter without an outside.
"""
