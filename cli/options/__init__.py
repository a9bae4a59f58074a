"""The options of the commands.

``by_command`` has one dataclass a command, of ``parts`` that several share; a flag, or an option of ``-o``,
stands in the type of its field, in the form that ``declare`` gives it. ``flags`` has those of objects of the
engine and the models. ``settings`` says what each is called and takes, ``flatten`` makes the parameters of a
command of them. ``config_file`` reads the user's own defaults. ``command_line`` finds a question without a
command, and turns Typer's errors into ours.
"""
