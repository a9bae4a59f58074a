"""The options of the commands.

``settings`` has the table of all that can be set, and reads it from the command line, the environment and the
config file. ``flags`` has the annotations of the commands' parameters. ``command_line`` finds a question
without a command, reads the config file, and turns Typer's errors into ours.
"""
