"""What a refusal of the API server means."""

from __future__ import annotations

from typing import Any, cast

from kubernetes.client.exceptions import ApiException


def is_missing(error: ApiException) -> bool:
    """Whether the object does not exist (404)."""
    return _status(error) == 404


def exists_already(error: ApiException) -> bool:
    """Whether an object of that name exists (409 at a creation)."""
    return _status(error) == 409


def create_unless_exists(create: object, *arguments: Any) -> None:
    """Create an object; one of that name is left as it is.

    Args:
        create: the client's function.
        arguments: the namespace, if the kind has one, and the manifest.

    Raises:
        ApiException: the API server refuses for another reason.
    """
    try:
        # The client wants models; a manifest of plain values does as well.
        cast(Any, create)(*arguments)
    except ApiException as error:
        if not exists_already(error):
            raise


def in_short(error: Exception) -> str:
    """Return an error in one line, for a log: the client's own text has all the answer's headers."""
    if isinstance(error, ApiException):
        return f"{_status(error)} {cast(Any, error).reason}"
    return f"{type(error).__name__}: {error}"


def _status(error: ApiException) -> int | None:
    # The client gives the attribute no type.
    return cast("int | None", cast(Any, error).status)
