"""Why an act could not be asked for: one sentence for people each, and the form field it belongs to."""


class ActionError(Exception):
    """Base of refusals before anything was written. `sentence` is for people, `field` names the input or is empty."""

    retryable = False

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class NotFittingError(ActionError):
    """The present state excludes the act: stopping what is stopped, scaling what does not run."""


class GoneError(ActionError):
    """The provider no longer lists the target."""


class InvalidBoundsError(ActionError):
    """The replica bounds make no sense."""


class InvalidValueError(ActionError):
    """A value makes no sense, or the provider would certainly refuse it."""


class UnderWayError(ActionError):
    """Another act on the same target is open and excludes this one."""


class KeyReusedError(ActionError):
    """The idempotency key was used for another act."""


class TooLateError(ActionError):
    """The act has been sent or has ended; it cannot be taken back."""
