"""The exceptions that users see as a single line, without a traceback."""


class UserError(ValueError):
    """An input or a setting is wrong; the message names the place, the value and the remedy."""


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Work was ended by a signal before it was done; the message says how it goes on."""
