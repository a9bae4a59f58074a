"""What the commands take.

``groups`` has one dataclass a command, composed of the objects that the rest of the program works with;
``flags`` has every flag of their fields, once, in the form that ``declare`` gives it; ``flatten`` makes the
parameters of a command of the two. ``export`` has both for the command of that name. ``completion``
serves the shell, and ``bash_words`` has bash complete names with colons. ``config_file`` is where defaults of
one's own come from.
"""
