"""An MLproject file reads as MLflow reads it; what cannot be used is refused with project and file."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.projects._project_spec import load_project

from core.errors import BadInputError, NotFoundError
from core.training.projects.catalogue import _BUILT_IN_FOLDER
from core.training.projects.mlproject_file import MAX_BYTES
from core.training.projects.reading import read_project
from core.training.projects.types import ParameterKind, Project
from tests.core.training.projects.kit import SIMPLE, project

TUTORIAL = """
name: tutorial
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      l1_ratio: {type: float, default: 0.1}
    command: "python train.py {alpha} {l1_ratio}"
"""
MULTISTEP = """
name: multistep
conda_env: env/conda.yaml
entry_points:
  load_raw_data:
    command: "python load_raw_data.py"
  etl_data:
    parameters:
      ratings_csv: path
      max_row_limit: {type: int, default: 100000}
    command: "python etl_data.py --ratings-csv {ratings_csv} --max-row-limit {max_row_limit}"
  main:
    parameters:
      als_max_iter: {type: int, default: 10}
      keras_hidden_units: {type: int, default: 20}
      max_row_limit: {type: int, default: 100000}
    command: |
      python main.py --als-max-iter {als_max_iter} && \\
        awk '{{print $1}}' out.txt > {max_row_limit}.txt
"""
ODD = """
entry_points:
  42:
    parameters:
      on: {type: whatever, default: yes}
      day: {default: 2024-02-03}
      rate: {default: 1e-3}
      none: {default: null}
      source: uri
      empty: {type: string, default: ""}
    command: run {True} {day} {rate} {none} {source} {empty}
"""
EXTRA = """
entry_points:
  main:
    help: Train it.
    resumes: true
    parameters:
      alpha: {type: float, default: 1, help: Strength., min: 0, max: 1e2, unit: "%", label: Alpha}
      model: {type: string, default: ridge, choices: [ridge, 2]}
      quiet: {type: boolean, default: false}
    command: python train.py {alpha} {model} {quiet}
"""


def folder_of(tmp_path: Path, text: str, name: str = "MLproject") -> Path:
    (tmp_path / "env").mkdir(exist_ok=True)
    (tmp_path / "env" / "conda.yaml").write_text("name: x")
    (tmp_path / "python_env.yaml").write_text("python: '3.11'")
    return project(tmp_path, text, name)


def assert_reads_as_mlflow(folder: Path) -> Project:
    ours, theirs = read_project("demand", folder), load_project(str(folder))
    assert [one.name for one in ours.entry_points] == [str(one) for one in theirs._entry_points]
    for mine, other in zip(ours.entry_points, theirs._entry_points.values(), strict=True):
        assert mine.command == other.command
        assert [(one.name, one.default) for one in mine.parameters] == [
            (str(one.name), None if one.default is None else str(one.default))
            for one in other.parameters.values()
        ]
        for one, its in zip(mine.parameters, other.parameters.values(), strict=True):
            if its.type in ("string", "float", "path", "uri") and not one.choices:
                assert one.kind == its.type
    path = theirs.env_config_path
    assert ours.environment.partition(": ")[2] == (os.path.relpath(path, folder) if path else "")
    return ours


@pytest.mark.parametrize("text", [TUTORIAL, MULTISTEP, ODD, EXTRA, "name: nothing"])
def test_a_project_reads_as_mlflow_reads_it(tmp_path: Path, text: str) -> None:
    assert_reads_as_mlflow(folder_of(tmp_path, text))


@pytest.mark.parametrize("name", ["MLproject", "mlproject", "MLPROJECT"])
def test_the_name_of_the_file_may_have_any_case(tmp_path: Path, name: str) -> None:
    assert len(assert_reads_as_mlflow(folder_of(tmp_path, SIMPLE, name)).entry_points) == 1


def test_the_built_in_project_reads_as_mlflow_reads_it() -> None:
    assert any(one.name == "stores" for one in assert_reads_as_mlflow(_BUILT_IN_FOLDER).entry_points)


SCALAR = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.just(datetime.datetime(2024, 1, 2, 3)),
)
NAME = st.text("abcxyz_", min_size=1, max_size=5)
PARAMETER = st.one_of(
    st.sampled_from(["string", "float", "path", "uri", "int", "anything"]),
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["string", "float", "path", "uri", "x"]), "default": SCALAR}
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAME, st.tuples(st.dictionaries(NAME, PARAMETER, max_size=4), st.text("ab '\n|"))))
def test_any_project_that_is_written_reads_as_mlflow_reads_it(
    tmp_path: Path, points: dict[str, tuple[dict[str, Any], str]]
) -> None:
    table = {
        name: {"parameters": given, "command": "run " + rest + " ".join(f"{{{one}}}" for one in given)}
        for name, (given, rest) in points.items()
    }
    text = yaml.safe_dump({"entry_points": table}, sort_keys=False, allow_unicode=True)
    assert_reads_as_mlflow(project(tmp_path, text))


def test_the_forms_own_keys_are_read(tmp_path: Path) -> None:
    (point,) = read_project("demand", project(tmp_path, EXTRA)).entry_points
    alpha, model, quiet = point.parameters
    assert (point.help, point.resumes, point.project) == ("Train it.", True, "demand")
    assert (alpha.help, alpha.minimum, alpha.maximum, alpha.unit, alpha.label) == (
        "Strength.",
        0,
        100,
        "%",
        "Alpha",
    )
    assert (model.kind, model.choices, model.default) == (ParameterKind.CHOICE, ("ridge", "2"), "ridge")
    assert (quiet.kind, quiet.default) == (ParameterKind.BOOL, "False")


def test_a_project_without_the_file_lists_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    found = read_project("demand", tmp_path)
    assert found.entry_points == ()
    assert "MLproject" in found.note


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"'demand'.*gone"):
        read_project("demand", tmp_path / "gone")


def one(parameters: str = "{}", command: str = "run", rest: str = "") -> str:
    return f"entry_points: {{main: {{parameters: {parameters}, command: {command!r}{rest}}}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold a table"),
        ("- a", "must hold a table"),
        ("a: [1\nb: }", "line 2, column 2"),
        ("a: b\n\x01", "line 2"),
        ("a: 2024-13-45", "cannot be read"),
        ("a: !!timestamp x", "cannot be read"),
        ("a: !!bool x", "cannot be read"),
        ("a: " + "[" * 5000, "cannot be read"),
        ("a: !!python/object:os.system x", "line 1"),
        ("entry_points: [main]", "entry_points must be a table .* not a list"),
        ("entry_points:", "entry_points must be a table .* not empty"),
        ("entry_points: {main: run}", "'main' must be a table .* not a text"),
        ("entry_points: {main: {}}", "command of the entry point 'main' must be a text, not empty"),
        ("entry_points: {main: {command: 5}}", "must be a text, not a number"),
        ('entry_points: {main: {command: "a\\0b"}}', "NUL"),
        (one("[alpha]"), "parameters of the entry point 'main' must be a table .* not a list"),
        (one("{alpha: 3}"), "'alpha' of the entry point 'main' must be a type"),
        (one("{alpha: {default: [1]}}"), "default of the parameter 'alpha'.* not a list"),
        (one("{alpha: {type: choice}}"), "no list of choices"),
        (one("{alpha: {choices: []}}"), "choices of the parameter 'alpha'"),
        (one("{alpha: {choices: a}}"), "choices of the parameter 'alpha'"),
        (one("{alpha: {min: x}}"), "min of the parameter 'alpha'.* must be a number, not 'x'"),
        (one("{alpha: {max: .nan}}"), "max of the parameter 'alpha'.* must be a number"),
        (one("{alpha: {max: true}}"), "max of the parameter 'alpha'.* must be a number"),
        (one("{alpha: {min: 2, max: 1}}"), "min of 2 above its max of 1"),
        (one("{alpha: {help: 5}}"), "help of the parameter 'alpha'.* must be a text"),
        (one(rest=", resumes: 1"), "resumes of the entry point 'main' must be true or false"),
        (one("{alpha: float}", "run {alfa}"), "placeholder {alfa}.*Did you mean alpha"),
        (one("{alpha: float}", "run {alpha!r}"), "is no name of a parameter"),
        (one("{alpha: float}", "run {}"), "is no name of a parameter"),
        (one("{alpha: float}", "run {alpha"), "braces cannot be read"),
        ("docker_env: {name: x}\n" + SIMPLE, "docker_env must be a table with an image"),
        ("python_env: a\nconda_env: b", "python_env and conda_env"),
        ("python_env: a.yaml", "python_env 'a.yaml', but there is no such file"),
        ("python_env: [a]", "python_env must be the name of a file"),
        ("databricks_spark_job: {python_file: a.py}", "Databricks"),
    ],
)
def test_what_cannot_be_used_is_refused_with_project_and_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        read_project("demand", project(tmp_path, text))
    assert f"The project 'demand': {tmp_path}/MLproject" in str(caught.value)


def test_a_file_too_large_is_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="1,000,000 bytes"):
        read_project("demand", project(tmp_path, "#" * (MAX_BYTES + 1)))


def test_aliases_that_multiply_are_not_written_out(tmp_path: Path) -> None:
    bomb = "a: &a0 [x, x]\n" + "".join(f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    text = bomb + "entry_points: {main: {parameters: {alpha: {default: *a59}}, command: run}}"
    with pytest.raises(BadInputError, match="not a list"):
        read_project("demand", project(tmp_path, text))


def test_bytes_that_are_no_text_are_said_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"name: x\nb: \xff")
    with pytest.raises(BadInputError, match=r"UTF-8 text \(line 2\)"):
        read_project("demand", tmp_path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SIMPLE)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "MLproject").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInputError, match="leads out"):
        read_project("demand", tmp_path / "p")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "MLproject")
    with pytest.raises(BadInputError, match="is no file"):
        read_project("demand", tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("ab:-{}[]!&*|>'\"%@`,?# \n0x1")))
def test_no_text_gets_anything_but_a_project_or_a_sentence(tmp_path: Path, text: str) -> None:
    for content in (text, f"entry_points:\n  main: {text}", f"entry_points: {{main: {{command: {text}"):
        try:
            assert isinstance(read_project("demand", project(tmp_path, content)), Project)
        except BadInputError as error:
            assert str(error).startswith("The project 'demand': ")
