"""The options of the commands.

``by_command`` has one dataclass a command, of ``parts`` that several share; a flag stands in the type of its
field, in the form that ``declare`` gives it. ``flags`` has those of objects of the engine and the models,
``flatten`` makes the parameters of a command of them.
``completion`` serves the shell. ``config_file`` reads the user's own defaults. ``command_line`` finds a
question without a command, and turns Typer's errors into ours. ``help`` has the options that the short help
shows.
"""
