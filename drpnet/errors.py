"""The one exception for what a user can mend."""


class InputError(Exception):
    """A user's mistake: one line that names what was passed, what is allowed and what to do next.

    The console prints it after ``error:`` and exits with status 2; it never ends in a traceback.
    """
