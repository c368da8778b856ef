"""An expectation that is also checked where Python leaves assertions out."""


def expect(holds: bool, message: str) -> None:
    """Raises AssertionError with the message where something does not hold."""
    if not holds:
        raise AssertionError(message)
