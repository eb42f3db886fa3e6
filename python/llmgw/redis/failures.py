"""Why Redis can't be used, in words that show nothing of what it was asked."""

from typing import Final

_FOR_THE_OPERATOR: Final = {
    "AuthenticationError": "it refuses the user or the password",
    "AuthenticationWrongNumberOfArgsError": "it knows no users, only a password",
    "NoPermissionError": "its user may not run a command or use a key that is needed",
    # What an ACL refuses within a script is one too.
    "ResponseError": "it refuses a command; its ACL LOG may say why",
    "SSLError": "a file for TLS can't be used",
    "NoMasterError": "no sentinel knows a master of that name",
}
_NAMED: Final = {
    "OutOfMemoryError": "its memory is full",
    "ReadOnlyError": "it is a replica that can't be written to",
    "BusyLoadingError": "it is reading its data",
    "ClusterDownError": "the cluster is down",
    "MasterDownError": "its master is gone",
}


def reason_of(error: BaseException) -> str:
    """The error's type, and what that means where it helps. Never its text, which may quote a command."""
    name = type(error).__name__
    said = (_FOR_THE_OPERATOR | _NAMED).get(name)
    return name if said is None else f"{name}: {said}"


def is_for_the_operator(error: BaseException) -> bool:
    """It stays so until somebody changes something, so that there is no hurry to try again."""
    return type(error).__name__ in _FOR_THE_OPERATOR
