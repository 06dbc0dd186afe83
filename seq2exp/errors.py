"""The one exception that means "your input": shown to users as a single line, without a traceback."""


class UserError(ValueError):
    """An input or a setting is wrong; the message names the place, the value and the remedy."""
