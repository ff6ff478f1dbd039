"""The one error of this package: something about the data that an operator can act on."""


class ReferenceDataError(Exception):
    """One sentence that names the file, and the row and column where there is one."""
