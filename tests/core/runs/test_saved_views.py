"""Saved views: what is saved comes back, and belongs to one page of one store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from core.database import open_database
from core.errors import BadInputError, GreenroomError, NotFoundError
from core.runs.saved_views import SavedViews


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    engine = open_database(None, home)
    yield engine
    with engine.begin() as connection:
        connection.execute(sa.text("delete from saved_views"))
    engine.dispose()


@pytest.fixture
def views(engine: Engine) -> SavedViews:
    return SavedViews(engine, "store", "runs")


def test_a_new_page_has_no_views(views: SavedViews) -> None:
    assert views.all() == ()


def test_a_saved_view_comes_back_as_it_was_returned(views: SavedViews) -> None:
    saved = views.save("mine", {"filter": "metrics.a > 1"}, "ana")
    assert views.all() == (saved,)
    assert saved.saved_by == "ana"
    assert saved.saved_at.tzinfo is not None
    assert abs(datetime.now(UTC) - saved.saved_at) < timedelta(minutes=1)


def test_views_are_listed_by_name(views: SavedViews) -> None:
    for name in ("b", "c", "a"):
        views.save(name, {}, "ana")
    assert [one.name for one in views.all()] == ["a", "b", "c"]


def test_values_of_every_type_come_back(views: SavedViews) -> None:
    choices = {
        "text": "it's",
        "whole": 3,
        "number": 0.1,
        "yes": True,
        "list": ["学习率", "a,b"],
        "none": None,
        "empty": "",
    }
    views.save("all", choices, "ana")
    (view,) = views.all()
    assert view.choices == choices
    assert {key: type(value) for key, value in view.choices.items()} == {
        key: type(value) for key, value in choices.items()
    }


def test_saving_again_replaces_choices_and_author(views: SavedViews) -> None:
    views.save("mine", {"a": 1}, "ana")
    views.save(" mine ", {"b": 2}, "ben")
    (view,) = views.all()
    assert (view.name, view.choices, view.saved_by) == ("mine", {"b": 2}, "ben")


def test_a_deleted_view_is_gone_and_the_others_stay(views: SavedViews) -> None:
    views.save("mine", {}, "ana")
    views.save("other", {}, "ana")
    views.delete("mine")
    assert [one.name for one in views.all()] == ["other"]


def test_deleting_what_is_not_there_says_so(views: SavedViews) -> None:
    views.save("mine", {}, "ana")
    with pytest.raises(NotFoundError, match="no saved view 'yours'"):
        views.delete("yours")
    assert len(views.all()) == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_name_that_is_empty_or_too_long_is_refused(views: SavedViews, name: str) -> None:
    with pytest.raises(BadInputError, match="1 to 200 characters"):
        views.save(name, {}, "ana")
    assert views.all() == ()


@pytest.mark.parametrize(
    "name", ["x" * 200, 'it\'s "quoted"', "最佳模型", "a; drop table saved_views; --", "100% <b>", "%s :x"]
)
def test_any_other_name_works(views: SavedViews, name: str) -> None:
    views.save(name, {"a": 1}, "ana")
    views.save(name, {"a": 2}, "ana")
    assert [(one.name, one.choices) for one in views.all()] == [(name, {"a": 2})]
    views.delete(name)
    assert views.all() == ()


def test_views_belong_to_one_page_of_one_store(engine: Engine, views: SavedViews) -> None:
    elsewhere = [SavedViews(engine, "other", "runs"), SavedViews(engine, "store", "compare")]
    views.save("mine", {"at": 0}, "ana")
    for number, other in enumerate(elsewhere, 1):
        assert other.all() == ()
        other.save("mine", {"at": number}, "ana")
    elsewhere[0].delete("mine")
    assert [one.choices for one in views.all()] == [{"at": 0}]
    assert [one.choices for one in elsewhere[1].all()] == [{"at": 2}]


def test_views_outlive_the_process(engine: Engine, home: Path, views: SavedViews) -> None:
    views.save("mine", {"a": 1}, "ana")
    again = open_database(None, home)
    assert [one.name for one in SavedViews(again, "store", "runs").all()] == ["mine"]
    again.dispose()


def test_a_database_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/without-tables.db")
    with pytest.raises(GreenroomError, match="database does not answer"):
        SavedViews(engine, "store", "runs").all()
    engine.dispose()
