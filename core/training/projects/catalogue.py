"""The projects that can be launched from, read anew only where their files changed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from core.errors import BadInputError, GreenroomError, NotFoundError
from core.training.projects import sources
from core.training.projects.mlproject_file import find_file
from core.training.projects.reading import read_project
from core.training.projects.settings import is_git_address
from core.training.projects.types import (
    BrokenProject,
    EntryPoint,
    Project,
    ProjectSetting,
)
from core.training.projects.wording import hint, listed
from core.training.types import BUILT_IN

_BUILT_IN_FOLDER: Final = Path(__file__).parent.parent / "project"
_NOT_FETCHED: Final = "Not fetched yet: its entry points show once it is refreshed or launched."

_BROKEN_SECONDS: Final = 5.0

_Mark: TypeAlias = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read, the marks of the files it was read from, and until when it may be believed (monotonic seconds)."""

    marks: tuple[tuple[Path, _Mark], ...]
    project: Project | BrokenProject
    until: float


class Projects:
    """The built-in project and those of greenroom.toml. Safe for many threads and many processes.

    Asking looks at two or three files and fetches nothing; only `refresh` does.

    Parameters
    ----------
    settings : tuple of ProjectSetting
    home : Path
        Where checkouts are kept.
    """

    def __init__(self, settings: tuple[ProjectSetting, ...], home: Path) -> None:
        built_in = ProjectSetting(BUILT_IN, str(_BUILT_IN_FOLDER))
        self._settings = {one.name: one for one in (built_in, *settings)}
        self._home = home
        self._known: dict[str, _Known] = {}

    def list(self) -> tuple[Project | BrokenProject, ...]:
        """Return every project, the built-in one first; one that cannot be read is broken, and hides no other."""
        return tuple(self._look(one) for one in self._settings.values())

    def names(self) -> tuple[str, ...]:
        """Return the names of the projects."""
        return tuple(self._settings)

    def setting(self, project: str) -> ProjectSetting:
        """Return how a project is set.

        Raises
        ------
        NotFoundError
            If there is no such project: it names those there are.
        """
        if project not in self._settings:
            raise NotFoundError(
                f"There is no project '{project}'.{hint(project, self._settings)} Projects: {listed(self._settings)}. "
                "Add one to greenroom.toml as [projects.NAME]."
            )
        return self._settings[project]

    def project(self, project: str) -> Project:
        """Return a project.

        Raises
        ------
        NotFoundError
            If there is no such project.
        BadInputError
            If it is broken: the sentence says why.
        """
        found = self._look(self.setting(project))
        if isinstance(found, BrokenProject):
            raise BadInputError(found.reason)
        return found

    def entry_point(self, project: str, name: str) -> EntryPoint:
        """Return an entry point of a project.

        Raises
        ------
        NotFoundError
            If there is no such project or entry point, or it was never fetched: it names those there are.
        BadInputError
            If the project is broken.
        """
        found = self.project(project)
        self._folder_of(found)
        for one in found.entry_points:
            if one.name == name:
                return one
        names = [one.name for one in found.entry_points]
        raise NotFoundError(
            f"The project '{project}' has no entry point '{name}'.{hint(name, names)} Entry points: {listed(names)}."
        )

    def folder(self, project: str) -> Path:
        """Return the folder that a project's commands run in.

        Raises
        ------
        NotFoundError
            If there is no such project, or it was never fetched.
        BadInputError
            If the project is broken.
        """
        return self._folder_of(self.project(project))

    def refresh(self, project: str, in_use: frozenset[str] = frozenset()) -> Project:
        """Fetch a git project as its address has it now, and read a project anew.

        Parameters
        ----------
        in_use : frozenset of str
            Commits that jobs run from: their checkouts stay.

        Raises
        ------
        NotFoundError
            If there is no such project, folder, branch, tag or commit.
        SourceError
            If it cannot be fetched.
        BadInputError
            If what was fetched is broken.
        """
        setting = self.setting(project)
        sources.fetch(setting, self._home, in_use)
        self._known.pop(project, None)
        return self.project(project)

    @staticmethod
    def _folder_of(project: Project) -> Path:
        if project.folder is None:
            raise NotFoundError(f"The project '{project.name}' was not fetched yet. Refresh it first.")
        return project.folder

    def _look(self, setting: ProjectSetting) -> Project | BrokenProject:
        known = self._known.get(setting.name)
        if (
            known is not None
            and time.monotonic() < known.until
            and all(_mark(path) == mark for path, mark in known.marks)
        ):
            return known.project
        marks: dict[Path, _Mark] = {}
        place = "built in" if setting.name == BUILT_IN else sources.shown_source(setting)
        project: Project | BrokenProject
        try:
            project = self._read(setting, place, marks)
            until = math.inf
        except GreenroomError as error:
            project = BrokenProject(setting.name, place, str(error))
            # What is missing may stand anywhere, so that no mark tells when it is mended.
            until = time.monotonic() + _BROKEN_SECONDS
        self._known[setting.name] = _Known(tuple(marks.items()), project, until)
        return project

    def _read(self, setting: ProjectSetting, place: str, marks: dict[Path, _Mark]) -> Project:
        """Read a project, each file marked before it is read: what changes in between is noticed at the next look."""
        is_git = is_git_address(setting.source)
        start = sources.current_file(setting, self._home) if is_git else Path(setting.source)
        marks[start] = _mark(start)
        checkout = sources.current(setting, self._home)
        if checkout is None:
            return Project(setting.name, place, None, (), note=_NOT_FETCHED)
        marks[checkout.folder] = _mark(checkout.folder)
        if (file := find_file(setting.name, checkout.folder)) is not None:
            marks[file] = _mark(file)
        return read_project(setting.name, checkout.folder, place, checkout.commit)


def _mark(path: Path) -> _Mark:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
