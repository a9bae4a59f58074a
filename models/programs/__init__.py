"""Programs that a model writes, run where they can do no harm, with limits on time, memory and output.

``monty`` is an interpreter without an outside; ``cpython`` runs what it cannot, each program in a process of
its own within one of the operating system's ``sandboxes``; ``chain`` asks one after the other. ``detection``
finds the strongest that holds on this machine; ``confine`` is what runs inside, ``seccomp`` the system calls
that are left, ``limits`` what bounds each program.
"""
