"""The one exception for what people give: a sentence that names the thing and the way out."""


class InputError(ValueError):
    """Something that a person gave cannot be used; the message says what and how to go on.

    The command line prints the message and ends with exit code 2. Every other exception is a
    mistake of ours and keeps its traceback.
    """
