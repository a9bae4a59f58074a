"""Programs that a model writes, run where they can do no harm, with limits on time, memory and output.

``monty`` is an interpreter without an outside. ``cpython`` runs each program in a process of its own, which
the kernel holds: ``sandbox`` says what it may, ``confine`` runs inside, ``seccomp`` lists the system calls
that are left. ``executor`` gives each program to one of the two.
"""
