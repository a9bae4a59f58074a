"""The options of the commands.

A flag is a field in ``by_command``, which has one dataclass a command, and a line in ``flags``, in the form
that ``declare`` gives it; ``flatten`` makes the parameters of a command of the two. ``export`` has the fields
and flags of the command of that name. ``completion`` serves the shell, and ``bash_words`` has bash complete
names with colons. ``config_file`` reads the user's own defaults. ``command_line`` finds a question without a
command, and turns Typer's errors into ours. ``help`` has the options that the short help shows.
"""
