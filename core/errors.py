"""The errors a person can meet: each message says what happened, to which thing, and what to do next."""


class GreenroomError(Exception):
    """Base of every error that Greenroom raises on purpose."""


class BadInputError(GreenroomError):
    """A setting, argument or file cannot be used as given; the command line exits with 2."""


class FilterSyntaxError(BadInputError):
    """A filter or order_by that MLflow's grammar refuses.

    Attributes
    ----------
    text : str
        What was written.
    position : int
        Index of the first character of the part that is wrong.
    reason : str
        MLflow's own words.
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.text = text
        self.position = position
        self.reason = reason
        super().__init__(f"{reason} (at character {position + 1} of: {text})")


class NotFoundError(BadInputError):
    """A run, experiment or artifact that is not there."""


class RefusedError(GreenroomError):
    """A rule, a gate or a permission says no.

    Attributes
    ----------
    reasons : tuple of str
        One sentence for each thing in the way.
    """

    def __init__(self, message: str, reasons: tuple[str, ...] = ()) -> None:
        self.reasons = reasons or (message,)
        super().__init__(message)


class DatabaseError(GreenroomError):
    """Greenroom's own database does not answer."""


class SourceError(GreenroomError):
    """The tracking store cannot be reached or read."""


class ArtifactError(GreenroomError):
    """An artifact cannot be listed, shown or fetched."""
