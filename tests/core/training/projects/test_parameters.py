"""Values given to an entry point: defaults filled in, every problem said at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.projects._project_spec import EntryPoint as Theirs
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

from core.errors import BadInputError
from core.training.projects.parameters import MAX_LENGTH, checked, examine
from core.training.projects.types import EntryPoint, Parameter, ParameterKind


def point(*parameters: Parameter) -> EntryPoint:
    return EntryPoint("demand", "main", "", parameters, "run")


def value_of(parameter: Parameter, value: str, folder: Path | None = None) -> str:
    return checked(point(parameter), {parameter.name: value}, folder)[parameter.name]


def refusal(parameter: Parameter, value: str) -> str:
    with pytest.raises(BadInputError) as caught:
        value_of(parameter, value)
    return str(caught.value)


def number(kind: ParameterKind, **more: object) -> Parameter:
    return Parameter("n", kind, **more)  # type: ignore[arg-type]


def test_defaults_fill_in_what_is_not_given_in_the_order_of_the_parameters() -> None:
    entry = point(Parameter("a", default="1"), Parameter("b"), Parameter("c", default=""))
    assert list(checked(entry, {"b": "x"}).items()) == [("a", "1"), ("b", "x"), ("c", "")]


def test_every_problem_is_said_at_once() -> None:
    entry = point(
        Parameter("alpha", ParameterKind.FLOAT), Parameter("data", ParameterKind.PATH), Parameter("x")
    )
    with pytest.raises(BadInputError) as caught:
        checked(entry, {"alhpa": "1", "alpha": "much", "data": "/no/such/file"})
    said = str(caught.value)
    assert "'main' of the project 'demand'" in said
    assert "no parameter 'alhpa'. Did you mean alpha?" in said
    assert "alpha is 'much': a number" in said
    assert "data is '/no/such/file', but there is no such file" in said
    assert "x has no default" in said


def test_problems_are_told_by_parameter_beside_the_values_that_can_be_used() -> None:
    values, problems = examine(point(Parameter("a"), Parameter("b", ParameterKind.INT)), {"a": "x", "b": "y"})
    assert values == {"a": "x"}
    assert [one.parameter for one in problems] == ["b"]


@pytest.mark.parametrize("text", ["0", "-3", "+7", "12345678901234567890"])
def test_whole_numbers_are_taken(text: str) -> None:
    assert value_of(number(ParameterKind.INT), f" {text} ") == text


@pytest.mark.parametrize("text", ["", "1.0", "1e3", "1_000", "٣", "0x10", "nan", "9" * 301])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    assert "a whole number is asked for" in refusal(number(ParameterKind.INT), text)


@pytest.mark.parametrize("text", ["0.5", "1e-3", "-2", ".5"])
def test_numbers_are_taken(text: str) -> None:
    assert value_of(number(ParameterKind.FLOAT), text) == text


@pytest.mark.parametrize("text", ["", "0,5", "1_0.0", "nan", "inf", "1e999", "٣.٥"])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert "a number such as 0.5" in refusal(number(ParameterKind.FLOAT), text)


def test_a_number_stays_in_its_range_ends_included() -> None:
    between = number(ParameterKind.FLOAT, minimum=0.1, maximum=2.0)
    assert value_of(between, "0.1") == "0.1"
    assert value_of(between, "2") == "2"
    assert "accepted is 0.1 to 2" in refusal(between, "2.01")
    assert "accepted is 0.1 to 2" in refusal(between, "0.09")
    assert "at least 1" in refusal(number(ParameterKind.INT, minimum=1), "0")
    assert "at most 1" in refusal(number(ParameterKind.INT, maximum=1), "2")


def test_a_default_may_lie_outside_range_choices_and_kind() -> None:
    assert value_of(number(ParameterKind.INT, default="0", minimum=1), "0") == "0"
    assert value_of(number(ParameterKind.INT, default="", minimum=1), "") == ""
    assert value_of(number(ParameterKind.CHOICE, default="", choices=("a",)), "") == ""


def test_a_choice_is_one_of_those_listed() -> None:
    model = Parameter("model", ParameterKind.CHOICE, choices=("ridge", "lasso"))
    assert value_of(model, "lasso") == "lasso"
    assert refusal(model, "rigde").endswith("accepted are ridge, lasso. Did you mean ridge?")


@pytest.mark.parametrize(
    ("default", "text", "written"),
    [
        (None, "YES", "true"),
        ("False", "true", "True"),
        ("0", "on", "1"),
        ("no", "1", "yes"),
        ("true", "0", "false"),
    ],
)
def test_yes_and_no_are_written_as_the_default_writes_them(
    default: str | None, text: str, written: str
) -> None:
    assert value_of(Parameter("quiet", ParameterKind.BOOL, default), text) == written


def test_what_is_neither_yes_nor_no_is_refused() -> None:
    assert "true or false" in refusal(Parameter("quiet", ParameterKind.BOOL), "maybe")


def test_a_uri_has_a_scheme() -> None:
    assert value_of(Parameter("at", ParameterKind.URI), "s3://a/b") == "s3://a/b"
    assert "a URI is asked for" in refusal(Parameter("at", ParameterKind.URI), "a/b")


def test_paths_become_absolute_as_mlflow_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real.csv").touch()
    (tmp_path / "link").symlink_to("real.csv")
    (tmp_path / "a b.csv").touch()
    theirs = Theirs("main", {"data": "path"}, "run")
    for text in (
        "real.csv",
        "link",
        "./x/../real.csv",
        "a b.csv",
        f"file://{tmp_path}/a%20b.csv",
        str(tmp_path),
    ):
        (tmp_path / "x").mkdir(exist_ok=True)
        expected = theirs.parameters["data"].compute_value(text, str(tmp_path), 0)
        assert value_of(Parameter("data", ParameterKind.PATH), text) == expected


def test_a_path_elsewhere_stays() -> None:
    for uri in ("s3://bucket/key", "runs:/1a2b/data", "https://example.org/a.csv", "file://host/a.csv"):
        assert value_of(Parameter("data", ParameterKind.PATH), uri) == uri


def test_a_default_path_is_that_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "wine.csv").touch()
    data = Parameter("data", ParameterKind.PATH, "wine.csv")
    assert checked(point(data), {}, tmp_path) == {"data": str(tmp_path / "wine.csv")}
    assert checked(point(Parameter("data", ParameterKind.PATH, "")), {}) == {"data": ""}
    with pytest.raises(BadInputError, match="no such file"):
        checked(point(data), {}, tmp_path / "elsewhere")


@pytest.mark.parametrize("text", ["", "/no/such", "x" * 5000, "~nobody-of-this-name/x", "file:///no/such"])
def test_a_path_that_is_not_there_is_refused(text: str) -> None:
    assert "data is " in refusal(Parameter("data", ParameterKind.PATH), text)


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "a\rb", "a\ud800b"])
@pytest.mark.parametrize("kind", ["string", "path", "int", "uri"])
def test_no_value_holds_what_an_argument_or_a_log_cannot(text: str, kind: str) -> None:
    assert "line break or a character" in refusal(Parameter("a", ParameterKind(kind)), text)


def test_the_longest_value_is_mlflows() -> None:
    assert MAX_LENGTH == MAX_PARAM_VAL_LENGTH
    assert value_of(Parameter("a"), "x" * MAX_LENGTH) == "x" * MAX_LENGTH
    assert "6,001 characters" in refusal(Parameter("a"), "x" * (MAX_LENGTH + 1))


def test_a_value_that_is_no_text_is_refused() -> None:
    assert "values are texts" in refusal(Parameter("a"), 5)  # type: ignore[arg-type]


def test_a_refusal_shows_no_password() -> None:
    assert "geheim" not in refusal(Parameter("n", ParameterKind.INT), "https://me:geheim@example.org/")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(ParameterKind)), st.text(max_size=30))
def test_any_text_is_taken_or_refused_in_a_sentence(kind: ParameterKind, text: str) -> None:
    parameter = Parameter("a", kind, choices=("x",) if kind is ParameterKind.CHOICE else ())
    try:
        value = value_of(parameter, text)
    except BadInputError:
        return
    assert value.strip() == text.strip() or kind in (ParameterKind.BOOL, ParameterKind.PATH)
    assert os.fsencode(value) == value.encode()
