"""Is the tracking server there, and does an error mean "later" or "never"?"""

from __future__ import annotations

from typing import Any

from core.errors import GreenroomError
from core.redaction import redact

# What no second try will change. 401 and 403 are not among them: a password can be corrected.
_NEVER = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"})
_NEVER_STATUS = frozenset({400, 413, 422})


class LostFilesError(GreenroomError):
    """Files that were kept for sending are no longer there, or cannot be understood."""


def probe(uri: str, seconds: float = 2.0) -> str | None:
    """Ask a server whether it is there; return None if so, else why not.

    Any answer below 500 counts. MLflow's own calls repeat themselves for minutes, so they are made only after this.
    """
    import requests
    from mlflow.utils.credentials import get_default_host_creds

    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    try:
        answer = requests.get(
            f"{credentials.host.rstrip('/')}/health",
            timeout=seconds,
            verify=credentials.verify,
            cert=credentials.client_cert_path,
            allow_redirects=False,
        )
    except requests.Timeout:
        return f"no answer within {seconds:g} s"
    except requests.exceptions.SSLError as error:
        return f"its certificate is not accepted ({redact(str(error))[:200]})"
    except requests.ConnectionError:
        return "no connection"
    except requests.RequestException as error:
        return redact(str(error))[:200]
    return f"it answers {answer.status_code}" if answer.status_code >= 500 else None


def is_refusal(error: Exception) -> bool:
    """Whether the server will never take what was sent, however often it is sent."""
    from mlflow.exceptions import MlflowException, RestException

    if isinstance(error, MlflowException):
        if error.error_code in _NEVER:
            return True
        return isinstance(error, RestException) and error.error_code == "BAD_REQUEST"
    return _status(error) in _NEVER_STATUS or isinstance(error, LostFilesError)


def _status(error: Exception) -> Any:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def reason(error: Exception) -> str:
    """Say in one line why something failed, without passwords."""
    text = " ".join(str(error).split()) or type(error).__name__
    return redact(text)[:300]
