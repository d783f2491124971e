"""Inputs made from what a model says it takes, and the judging of answers, without running anything."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.registry.sandbox import answers, described, files, landlock, processes, verdict
from core.registry.sandbox.arrays import from_text, to_text
from core.registry.sandbox.checkpoint import first_difference
from core.registry.sandbox.described import Described, Field
from core.registry.sandbox.guest import _input, _packed
from core.registry.sandbox.questions import Question, UnaskableError, questions
from tests.core.registry.sandbox.folders import scripted

QUESTION = Question("id", 3, {}, "its signature")
TYPES = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]


def column(kind: str, name: str | None = None, **more: Any) -> Field:
    return Field(name, kind, form={"type": kind, "name": name, **more})


def tensor(dtype: str, *shape: int, name: str | None = None) -> Field:
    return Field(name, None, dtype, shape)


def made(*inputs: Field, **more: Any) -> list[tuple[Question, Any]]:
    asked = list(questions(Described("pyfunc", "pyfunc", inputs=inputs, **more)))
    return [(one, _input(json.loads(json.dumps(one.message)))) for one in asked]


def test_tables_of_every_type_become_the_frames_that_mlflow_asks_for() -> None:
    (first, table), (second, _) = made(*(column(kind, kind) for kind in TYPES))
    assert list(table.columns) == TYPES
    assert len(table) == first.rows != second.rows
    assert first.id != second.id
    kinds = "".join(
        table[kind].dtype.kind for kind in ("boolean", "integer", "long", "float", "double", "datetime")
    )
    assert kinds == "biiffM"
    assert isinstance(table["binary"][0], bytes)


def test_nested_columns_are_made_too() -> None:
    parts = {"x": {"type": "double"}, "y": {"type": "array", "items": {"type": "long"}}}
    (_, table), _ = made(
        column("object", "o", properties=parts), column("map", "m", values={"type": "string"})
    )
    assert set(table["o"][0]) == {"x", "y"}
    assert table["m"][0] == {"a": "a"}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "<U5", "datetime64[ns]"])
def test_tensors_have_the_type_and_the_shape_of_the_signature(dtype: str) -> None:
    for question, array in made(tensor(dtype, -1, 2, -1)):
        assert array.shape[:2] == (question.rows, 2)
        assert array.dtype == np.dtype(dtype)


def test_named_tensors_are_sent_by_name_and_a_fixed_number_of_rows_is_kept() -> None:
    for question, arrays in made(tensor("float32", 7, 2, name="x"), tensor("int32", 7, name="y")):
        assert question.rows == 7
        assert {name: array.shape for name, array in arrays.items()} == {"x": (7, 2), "y": (7,)}


@pytest.mark.parametrize(
    ("example", "kind", "inputs"),
    [
        ({"columns": ["a"], "data": [[5.0], [7.0]]}, "dataframe", (column("double", "a"),)),
        ({"data": [[5.0], [7.0]]}, "dataframe", ()),
        ([[5.0], [7.0]], "ndarray", (tensor("float64", -1, 1),)),
        ([[5.0], [7.0]], "ndarray", ()),
        (
            {"data": [5.0, 7.0], "indices": [0, 0], "indptr": [0, 1, 2], "shape": [2, 1]},
            "sparse_matrix_csr",
            (),
        ),
        ({"a": [5.0, 7.0]}, "json_object", (column("double", "a"),)),
    ],
)
def test_rows_of_an_example_are_repeated(example: Any, kind: str, inputs: tuple[Field, ...]) -> None:
    for question, given in made(*inputs, example=example, example_type=kind):
        assert question.source == "its input example"
        dense = given.toarray() if hasattr(given, "toarray") else np.asarray(given)
        assert dense.shape == (question.rows, 1)
        assert set(dense.ravel()) == {5.0, 7.0}


def test_an_example_of_no_use_gives_way_to_the_signature() -> None:
    for question, _ in made(
        column("double", "a"), example={"columns": ["a"], "data": []}, example_type="dataframe"
    ):
        assert question.source == "its signature"


def test_a_model_that_says_nothing_of_its_input_cannot_be_asked() -> None:
    with pytest.raises(UnaskableError, match="neither an input example nor a signature"):
        made()


@pytest.mark.parametrize(
    "space",
    [
        {"shape": [10**9, 10**9], "dtype": "float32"},
        {"shape": [-3], "dtype": "float32"},
        {"shape": [2], "dtype": "S999999999"},
        {"shape": [2], "dtype": "(9999,9999)f8"},
        {"shape": [2], "dtype": "no type"},
        {"shape": "x" * 20, "dtype": "float32"},
        {"dtype": None},
    ],
)
def test_a_hostile_observation_space_takes_no_memory(space: dict[str, Any]) -> None:
    with pytest.raises(UnaskableError):
        list(questions(Described("zip", "sb3"), space))


def judged(output: Any, *outputs: Field) -> dict[str, Any]:
    answer = json.loads(json.dumps({"id": "id", "answer": _packed(output)}, default=str))
    return answers.judge(QUESTION, answer, outputs)


@pytest.mark.parametrize(
    ("output", "outputs"),
    [
        (np.zeros(3), ()),
        (np.zeros(3), (tensor("float64", -1),)),
        (np.zeros((3, 1)), (tensor("float64", -1),)),
        (np.zeros((3, 2), np.float32), (tensor("float64", -1, 2),)),
        (np.zeros(3, np.int64), (column("double"),)),
        (["a", "b", "c"], (column("string"),)),
        ([{"score": 1.0}] * 3, ()),
        ({"x": [1, 2, 3], "y": [1.0, 2.0, 3.0]}, (column("long", "x"), column("double", "y"))),
        (np.zeros((3, 2)), (column("double", "x"), column("double", "y"))),
    ],
)
def test_answers_in_form_pass(output: Any, outputs: tuple[Field, ...]) -> None:
    assert judged(output, *outputs)["rows"] == 3


@pytest.mark.parametrize(
    ("output", "outputs", "reason"),
    [
        (np.zeros(2), (), "asked for 3 rows and answered 2 rows"),
        (5.0, (), "answered a single value"),
        (np.array([1.0, np.nan, np.inf]), (), "2 of its 3 predicted values"),
        ([1.0, None, "x"], (), "1 of its 3 predicted values"),
        ([{"score": float("nan")}] * 3, (), "3 of its 3 predicted values"),
        (np.zeros((3, 2)), (tensor("float64", -1, 4),), r"shape \[-1, 4\]; it answered \[3, 2\]"),
        (np.zeros(3), (tensor("int64", -1),), "is int64; it answered float64"),
        (["a", "b", "c"], (column("double"),), "is double; it answered <U1"),
        ({"x": [1, 2, 3]}, (column("long", "x"), column("long", "y")), "promises an output 'y'"),
    ],
)
def test_answers_out_of_form_fail_and_say_why(output: Any, outputs: tuple[Field, ...], reason: str) -> None:
    with pytest.raises(answers.WrongError, match=reason):
        judged(output, *outputs)


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"parts": []}, {"parts": [{}]}, {"parts": [{"npy": "!"}]}, {"parts": [{"values": 3}]}],
)
def test_what_is_no_answer_fails(answer: Any) -> None:
    with pytest.raises(answers.WrongError):
        answers.judge(QUESTION, {"id": "id", "answer": answer}, ())


def test_an_answer_to_another_question_fails() -> None:
    with pytest.raises(answers.WrongError, match="not to the question"):
        answers.judge(QUESTION, {"id": "other", "answer": _packed(np.zeros(3))}, ())


def test_arrays_survive_the_pipe_and_lies_about_their_length_do_not() -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(from_text(to_text(array)), array)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with pytest.raises(ValueError, match="not as long as it says"):
        from_text(base64.b64encode(head.getvalue()).decode())
    objects = io.BytesIO()
    np.save(objects, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="an array of object"):
        from_text(base64.b64encode(objects.getvalue()).decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "flavors: 3",
        "]",
        "flavors: {python_function: {}}\nsignature: {inputs: x}",
        "a: &a {<<: *a}",
        "[" * 5000,
    ],
)
def test_a_broken_mlmodel_is_refused_in_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(described.UnreadableError, match=r"MLmodel cannot be read"):
        described.describe(tmp_path)


def test_a_folder_that_holds_no_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(described.UnreadableError, match="neither a file MLmodel nor"):
        described.describe(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}}")
    with pytest.raises(described.UnreadableError, match="no python_function flavour"):
        described.describe(tmp_path)


def test_the_digest_covers_names_and_bytes_and_not_the_place(tmp_path: Path) -> None:
    first = files.copy_and_digest(scripted(tmp_path / "a", "return 1"), tmp_path / "copy of a")
    again = files.copy_and_digest(scripted(tmp_path / "b", "return 1"), tmp_path / "copy of b")
    other = files.copy_and_digest(scripted(tmp_path / "c", "return 2"), tmp_path / "copy of c")
    (tmp_path / "b" / "empty").touch()
    longer = files.copy_and_digest(tmp_path / "b", tmp_path / "copy of b with a file")
    assert first == again
    assert len({first, other, longer}) == 3


def test_folders_deeper_than_a_path_can_be_long_are_measured_and_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    back = Path.cwd()
    try:
        import os

        os.chdir(top)
        for _ in range(100):
            Path("x" * 100).mkdir()
            os.chdir("x" * 100)
        Path("file").touch()
    finally:
        os.chdir(back)
    assert processes.written(top, {}) == float("inf")
    files.remove(top)
    assert not top.exists()


def test_the_first_difference_between_weights_is_named() -> None:
    weights = (("a", (1, 2)), ("b", (3,)))
    assert first_difference(weights, weights) is None
    assert first_difference(weights, weights[::-1]) is None
    assert "a has the shape [1, 2] in the file and [2, 2]" in (
        first_difference(weights, (("a", (2, 2)), ("b", (3,)))) or ""
    )
    assert "the file has a weight b" in (first_difference(weights, weights[:1]) or "")
    assert "the class has a weight b" in (first_difference(weights[:1], weights) or "")


def test_what_a_guest_says_of_itself_is_read_with_care() -> None:
    assert verdict.layers([["w", [1, 2]]]) == (("w", (1, 2)),)
    for nonsense in ("w", 3, {"w": 1}, [["w"]], [["w", "x"]], None):
        assert verdict.layers(nonsense) == ()
        assert verdict.dimension(nonsense) is None
    assert verdict.quoted("a\x1b[31m\nb") == "“a [31m”"
    assert len(verdict.quoted("x" * 10_000)) < 400


def test_landlock_lets_one_neither_run_programs_nor_make_devices_in_one_s_own_folder() -> None:
    assert landlock.OWN & landlock.RUN == landlock.READ
    assert landlock.READ & landlock.OWN == landlock.READ
