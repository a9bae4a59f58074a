"""Programs that a model writes, run where they can do no harm, with limits on time, memory and output.

``monty`` is an interpreter without an outside; ``cpython`` runs what it cannot, each program in a process of
its own within one of the operating system's sandboxes (``sandbox``), and finds the strongest that holds on
this machine. ``chain`` asks one after the other. ``confine`` runs inside, ``seccomp`` lists the system calls
that are left. The tests of a program run apart from it and exchange data with it, in CPython by ``peer``.
"""
