"""Exception for invalid input: its message names the input and the remedy."""


class InputError(ValueError):
    """Invalid input; the message names it and the remedy.

    The command line prints the message and ends with exit code 2. Every other exception is a bug
    and keeps its traceback.
    """
