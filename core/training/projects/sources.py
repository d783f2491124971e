"""Where a project's files are: in a folder, or in a checkout of a git address that greenroom.toml names.

Checkouts are kept in ``projects/NAME/COMMIT`` of the home folder, and ``projects/NAME/current.json`` says which one is
in use. Nothing but what git fetched itself gets there: neither hooks nor submodules run or are followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import BadInputError, NotFoundError, SourceError
from core.training.projects.git import Git, GitError, without_secrets
from core.training.projects.settings import is_git_address
from core.training.projects.types import ProjectSetting

KEPT: Final = 3
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the files of a project are, and the commit they are of; None for a folder."""

    folder: Path
    commit: str | None = None


def shown_source(setting: ProjectSetting) -> str:
    """Return where a project comes from, without passwords and tokens."""
    source = without_secrets(setting.source) if is_git_address(setting.source) else setting.source
    return f"{source} at {setting.ref}" if setting.ref else source


def current(setting: ProjectSetting, home: Path) -> Checkout | None:
    """Return where a project's files are now, without fetching; None if a git project was never fetched.

    Raises
    ------
    NotFoundError
        If the source is a folder that is not there.
    """
    if not is_git_address(setting.source):
        return Checkout(_folder(setting))
    try:
        written = json.loads(current_file(setting, home).read_bytes())
        of, commit = written["of"], written["commit"]
    except (OSError, ValueError, LookupError, TypeError):
        # Not there, or of a version of Greenroom that wrote otherwise: fetched again, it is right.
        return None
    if of != _identity(setting) or not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        return None
    folder = _place(setting, home) / commit
    return Checkout(folder, commit) if folder.is_dir() else None


def current_file(setting: ProjectSetting, home: Path) -> Path:
    """Return the file that says which checkout of a git project is in use."""
    return _place(setting, home) / "current.json"


def fetch(
    setting: ProjectSetting, home: Path, in_use: frozenset[str] = frozenset(), seconds: float = 300.0
) -> Checkout:
    """Fetch a project as its source has it now, and return where its files are.

    Parameters
    ----------
    home : Path
    in_use : frozenset of str
        Commits whose checkouts stay, beside the newest three.
    seconds : float
        Time limit.

    Raises
    ------
    NotFoundError
        If there is no such folder, or no such branch, tag or commit.
    BadInputError
        If the source begins with a dash.
    SourceError
        If git cannot fetch it, or takes too long.
    """
    if not is_git_address(setting.source):
        return Checkout(_folder(setting))
    if setting.source.startswith("-") or (setting.ref or "").startswith("-"):
        raise BadInputError(
            f"The source or ref of the project '{setting.name}' begins with a dash. Correct it."
        )
    # A command that only lists projects need not pay for it.
    from filelock import FileLock, Timeout

    place = _place(setting, home)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock", timeout=seconds):
            _remove_leftovers(place)
            commit = _fetched(setting, place, Git(seconds))
            os.utime(place / commit)
            _write_current(current_file(setting, home), setting, commit)
            _remove_old(place, in_use | {commit})
    except Timeout as error:
        raise SourceError(
            f"The project '{setting.name}' is being fetched by another process since more than {seconds:g} s. "
            "Try again later."
        ) from error
    except OSError as error:
        raise SourceError(
            f"The project '{setting.name}' cannot be kept under {place}: {error.strerror}. Check the folder and the "
            "free space."
        ) from error
    return Checkout(place / commit, commit)


def _folder(setting: ProjectSetting) -> Path:
    folder = Path(setting.source)
    if not folder.is_dir():
        raise NotFoundError(
            f"The project '{setting.name}': there is no folder {folder}. Correct its source in greenroom.toml."
        )
    return folder.resolve()


def _place(setting: ProjectSetting, home: Path) -> Path:
    # Absolute, because jobs run in the folder.
    return (home / "projects" / setting.name).absolute()


def _identity(setting: ProjectSetting) -> str:
    # Hashed, because the address may hold a password.
    return hashlib.sha256(f"{setting.source}\n{setting.ref or ''}".encode()).hexdigest()


def _fetched(setting: ProjectSetting, place: Path, git: Git) -> str:
    """Make sure that the commit is checked out, and return it."""
    ref = setting.ref
    if ref and _COMMIT.fullmatch(ref) and (place / ref).is_dir():
        return ref
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    try:
        git("init", "--quiet", "--template=", folder=new)
        commit = _commit(setting, new, git)
        if not (place / commit).is_dir():
            git("checkout", "--quiet", "--detach", commit, folder=new)
            new.rename(place / commit)
        return commit
    except GitError as error:
        raise SourceError(
            f"The project '{setting.name}' cannot be fetched from {shown_source(setting)}: {error}. Check the address, "
            "the network, and that git may read it without being asked for a password."
        ) from error
    except SourceError as error:
        raise SourceError(f"The project '{setting.name}' cannot be fetched: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _commit(setting: ProjectSetting, new: Path, git: Git) -> str:
    quiet = ("fetch", "--quiet", "--no-recurse-submodules")
    try:
        git(*quiet, "--no-tags", "--depth=1", "--", setting.source, setting.ref or "HEAD", folder=new)
        return git("rev-parse", "--verify", "FETCH_HEAD^{commit}", folder=new)
    except GitError as error:
        if "couldn't find remote ref" not in str(error) and not _HEXADECIMAL.fullmatch(setting.ref or ""):
            raise
        if not _HEXADECIMAL.fullmatch(setting.ref or ""):
            raise _no_such(setting) from error
    # Servers hand out a commit by its name only if they want to, and never by a part of it.
    git(*quiet, "--", setting.source, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", folder=new)
    try:
        return git("rev-parse", "--verify", "--quiet", f"{setting.ref}^{{commit}}", folder=new)
    except GitError as error:
        raise _no_such(setting) from error


def _no_such(setting: ProjectSetting) -> NotFoundError:
    return NotFoundError(
        f"The project '{setting.name}': there is no branch, tag or commit {setting.ref or 'HEAD'} at "
        f"{without_secrets(setting.source)}. Correct its ref in greenroom.toml."
    )


def _write_current(path: Path, setting: ProjectSetting, commit: str) -> None:
    new = path.with_suffix(".new")
    with new.open("w") as file:
        json.dump({"of": _identity(setting), "commit": commit}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _remove_leftovers(place: Path) -> None:
    # The lock is held: whoever made these was killed.
    for one in place.iterdir():
        if one.name.startswith((".new-", ".old-")):
            shutil.rmtree(one, ignore_errors=True)


def _remove_old(place: Path, stay: frozenset[str]) -> None:
    checkouts = [one for one in place.iterdir() if _COMMIT.fullmatch(one.name)]
    checkouts.sort(key=lambda one: one.stat().st_mtime_ns, reverse=True)
    for one in checkouts[KEPT:]:
        if one.name not in stay:
            # Renamed first: half a checkout must not be taken for one.
            gone = one.rename(place / f".old-{one.name}")
            shutil.rmtree(gone, ignore_errors=True)
