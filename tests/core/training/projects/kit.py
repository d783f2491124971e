"""Projects that tests write: folders with an MLproject file, entry points, and git repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

from core.training.projects.types import EntryPoint, Parameter

SIMPLE = "entry_points: {main: {parameters: {alpha: float}, command: 'python train.py {alpha}'}}"


def project(folder: Path, text: str, name: str = "MLproject") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def entry(command: str, *names: str) -> EntryPoint:
    return EntryPoint("demand", "main", "", tuple(Parameter(name) for name in names), command)


def git(folder: Path, *arguments: str) -> str:
    told = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(("git", *told, *arguments), cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Repository:
    """A git repository with a project, and the address it is fetched from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"file://{folder}"
        folder.mkdir()
        git(folder, "init", "--quiet")
        self.first = self.commit(SIMPLE)

    def commit(self, text: str) -> str:
        project(self.folder, text)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--message", "Change")
        return git(self.folder, "rev-parse", "HEAD")
