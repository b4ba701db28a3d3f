"""The eight kinds of error that Tidegate's layers raise.

Each kind is a class; the message is the text a client may see, in Docker's wording where clients match text. Drivers
translate foreign errors once, inward, with the cause chained. The mapping from kind to HTTP status lives in
``http/errors.py`` and nowhere else.
"""


class TidegateError(Exception):
    """Base of every error that has a message for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFoundError(TidegateError):
    """No such object."""


class InvalidParameterError(TidegateError):
    """The request is malformed or a value of it cannot be accepted."""


class ConflictError(TidegateError):
    """The request is fine but the object's present state forbids it."""


class UnauthorizedError(TidegateError):
    """The caller (or the caller's credentials for a registry) could not be identified."""


class ForbiddenError(TidegateError):
    """The caller is known and may not do this."""


class UnavailableError(TidegateError):
    """Something needed is not reachable now; the same request may work later."""


class NotSupportedError(TidegateError):
    """Tidegate, or this host, does not do this."""


class InternalError(TidegateError):
    """A fault of ours, or of the host."""
