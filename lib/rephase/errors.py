"""The one error that a user of the library is meant to read."""


class InputError(ValueError):
    """Something a person supplied is wrong.

    The message is one line that names where it was found, what was found and
    what would be right.

    Parameters
    ----------
    where : str
        File, and key inside it where there is one, or the argument's name.
    found : object
        What stood there.
    expected : str
        What would be right.

    Examples
    --------
    >>> raise InputError("params.yaml: baselines.smoke.dose", -1, "a dose above 0 e/A^2")
    Traceback (most recent call last):
    rephase.errors.InputError: params.yaml: baselines.smoke.dose: found -1, expected a dose above 0 e/A^2
    """

    def __init__(self, where: str, found: object, expected: str):
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: found {found}, expected {expected}")
