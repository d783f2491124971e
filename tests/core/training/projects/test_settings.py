"""Which projects may be named in greenroom.toml, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from core.errors import BadInputError
from core.training.projects.settings import is_git_address, read_projects
from core.training.projects.types import ProjectSetting


def read(text: str) -> tuple[ProjectSetting, ...]:
    return read_projects(tomllib.loads(text)["projects"], "greenroom.toml")


def test_a_project_is_read_with_everything_it_sets() -> None:
    assert read(
        '[projects.demand]\nsource = "git@example.org:team/demand.git"\nref = "v1.2/rc"\nenv_manager = "uv"\n'
        'ray_runtime_env = { pip = ["x"], env_vars = { A = "1" } }'
    ) == (
        ProjectSetting(
            "demand",
            "git@example.org:team/demand.git",
            "v1.2/rc",
            "uv",
            {"pip": ["x"], "env_vars": {"A": "1"}},
        ),  # type: ignore[arg-type]
    )


def test_what_is_left_out_has_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (one,) = read('[projects.demand]\nsource = "sub/../demand"')
    assert (one.source, one.ref, one.env_manager, one.ray_runtime_env) == (
        f"{tmp_path}/demand",
        None,
        "local",
        {},
    )


def test_settings_that_were_read_stay() -> None:
    settings = (ProjectSetting("demand", "/x"),)
    assert read_projects(settings, "the arguments") is settings


@pytest.mark.parametrize(
    ("source", "is_git"),
    [
        ("https://example.org/a.git", True),
        ("ssh://git@example.org/a.git", True),
        ("file:///srv/a.git", True),
        ("git@example.org:a.git", True),
        ("/srv/a", False),
        ("a/b@c", False),
        ("./git@example", False),
    ],
)
def test_addresses_are_told_from_folders(source: str, is_git: bool) -> None:
    assert is_git_address(source) is is_git
    assert is_git_address(read(f'[projects.demand]\nsource = "{source}"')[0].source) is is_git


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("projects = 5", "projects in greenroom.toml must be a table of tables"),
        ("[projects]\ndemand = 5", "projects.demand in greenroom.toml must be a table"),
        ('[projects.greenroom]\nsource = "/x"', "'greenroom' is the built-in project"),
        ('[projects."../x"]\nsource = "/x"', "letters, digits"),
        ('[projects.demand]\nsorce = "/x"', "'projects.demand.sorce' in .* Did you mean source"),
        ("[projects.demand]", "has no source"),
        ("[projects.demand]\nsource = 5", "must be a text in quotes"),
        ('[projects.demand]\nsource = " "', "must be a text in quotes"),
        ('[projects.demand]\nsource = "--upload-pack=x"', "accepted is a folder or a git address"),
        ('[projects.demand]\nsource = "a\\u0000b"', "accepted is a folder or a git address"),
        ('[projects.demand]\nsource = "ext::sh -c x"', "https://, ssh:// or file://"),
        ('[projects.demand]\nsource = "https::x"', "https://, ssh:// or file://"),
        ('[projects.demand]\nsource = "http://example.org/a"', "https://, ssh:// or file://"),
        ('[projects.demand]\nsource = "git://example.org/a"', "https://, ssh:// or file://"),
        ('[projects.demand]\nsource = "/x"\nref = "main"', "for a git address"),
        ('[projects.demand]\nsource = "file:///x"\nref = "-x"', "name of a branch or tag"),
        ('[projects.demand]\nsource = "file:///x"\nref = "a:b"', "name of a branch or tag"),
        ('[projects.demand]\nsource = "file:///x"\nref = "a..b"', "name of a branch or tag"),
        ('[projects.demand]\nsource = "file:///x"\nref = 5', "name of a branch or tag"),
        (
            '[projects.demand]\nsource = "/x"\nenv_manager = "cond"',
            "virtualenv, conda, uv. Did you mean conda",
        ),
        ('[projects.demand]\nsource = "/x"\nray_runtime_env = 5', "must be a table such as"),
        ('[projects.demand]\nsource = "/x"\nray_runtime_env = { a = 2024-01-01 }', "date or time"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_key(text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read(text)


def test_a_refusal_shows_no_password() -> None:
    with pytest.raises(BadInputError) as caught:
        read('[projects.demand]\nsource = "http://me:geheim@example.org/a"')
    assert "geheim" not in str(caught.value)
