"""The options of the commands.

``declare`` is how a flag or a name of ``-o`` is written down, and has those of objects of the engine and the
models. ``by_command`` has one dataclass a command. ``settings`` says what each is called and takes, and makes
the parameters of a command of them. ``command_line`` finds a question without a command, reads the user's
own defaults, and turns Typer's errors into ours.
"""
