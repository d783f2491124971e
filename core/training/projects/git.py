"""Run git without questions, hooks and foreign transports, for as long as a time limit allows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from core.errors import SourceError
from core.redaction import redact

# Set inside a git hook, they would lead git to another repository than the one asked for.
_LEADING_ELSEWHERE: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
)
_SET: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "SSH_ASKPASS_REQUIRE": "never",
    "LC_ALL": "C",
}
_OPTIONS: Final = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
)
# A token is often given as the user: https://TOKEN@host.
_USER: Final = re.compile(r"(https?://)[^/\s@]*@")


class GitError(Exception):
    """Git's own words for why it refused; whoever asked it makes a sentence of them."""


class Git:
    """Runs git commands that together take no longer than a time limit, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._limit = seconds
        self._until = time.monotonic() + seconds

    def __call__(self, *arguments: str, folder: Path) -> str:
        """Run git in a folder and return what it printed.

        Raises
        ------
        GitError
            With git's words, without passwords.
        SourceError
            If there is no git, or the time is over.
        """
        options = (part for option in _OPTIONS for part in ("-c", option))
        environment = {
            key: value for key, value in os.environ.items() if key not in _LEADING_ELSEWHERE
        } | _SET
        try:
            # A session of its own has no terminal that ssh could ask on, and ends as a whole.
            process = subprocess.Popen(
                ("git", *options, *arguments),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise SourceError("There is no program git on this machine. Install it.") from error
        with process:
            try:
                out, err = process.communicate(timeout=max(self._until - time.monotonic(), 0.01))
            except BaseException as error:
                _end_group(process)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise SourceError(f"git took longer than {self._limit:g} s and was stopped.") from error
                raise
        if process.returncode:
            raise GitError(without_secrets(_last_lines(err)) or f"exit code {process.returncode}")
        return out.decode(errors="replace").strip()


def without_secrets(text: str) -> str:
    """Hide users, passwords and tokens in every address of a text."""
    return " ".join(_USER.sub(r"\1***@", redact(word)) for word in text.split())


def _last_lines(err: bytes) -> str:
    lines = [one.strip() for one in err.decode(errors="replace").splitlines() if one.strip()]
    return " ".join(lines[-3:])[:600]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
