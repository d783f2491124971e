"""Which column of a sales file is what: as given, else recognised by the names people use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import BadInputError
from core.tables.names import matching, name_words, plain, spellings

STORE: Final = spellings(
    "store storeid storecode storenbr storenumber storename shop shopid outlet outletid location locationid site "
    "branch tienda sucursal unit"
)
DATE: Final = spellings("date ds day week weekdate weekending time timestamp datetime fecha")
SALES: Final = spellings(
    "sales weeklysales dailysales totalsales salesamount netsales y revenue turnover demand units unitssold "
    "quantity qty transactions amount ventas value"
)
PARTNER: Final = spellings("partner partnercode partnername chain banner retailer")
OPEN: Final = spellings("open isopen")

_KNOWN_WORDS: Final = frozenset(
    spellings("promo promos promotion promotions onpromotion holiday holidays event events campaign discount")
)
_KNOWN_NAMES: Final = frozenset(
    spellings(
        "price prices priceindex unitprice sellprice sellingprice listprice avgprice averageprice itemprice"
    )
)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns of a sales file.

    Attributes
    ----------
    partner, open : str or None
        Whom a store belongs to; whether it was open (0 or false: closed).
    known : tuple of str
        What is known in advance for every future period, such as promotions, holidays and prices.
    left_out : tuple of str
        The rest. It is not used: nobody knows it before the day is over.
    """

    store: str
    date: str
    sales: str
    partner: str | None = None
    open: str | None = None
    known: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenColumns:
    """Columns that a person named; None is recognised, an empty `known` means none."""

    store: str | None = None
    date: str | None = None
    sales: str | None = None
    partner: str | None = None
    open: str | None = None
    known: tuple[str, ...] | None = None


def find_columns(names: Sequence[str], given: GivenColumns, path: str) -> ColumnNames:
    """Find the columns of a sales file.

    Raises
    ------
    BadInputError
        If one that was named is not there, or one that is needed cannot be recognised; it says which, what
        there is, and how to name it. Also if the sales themselves are said to be known in advance.
    """
    wanted = [given.store, given.date, given.sales, given.partner, given.open, *(given.known or ())]
    absent = [name for name in wanted if name is not None and name not in names]
    if absent:
        raise BadInputError(
            f"{path} has no column {_listed(absent)}; it has {_listed(names)}. Correct the name."
        )
    found = {
        role: getattr(given, role) or next(iter(matching(names, usual)), None)
        for role, usual in (("store", STORE), ("date", DATE), ("sales", SALES))
    }
    unknown = [role for role, name in found.items() if name is None]
    if unknown:
        how = ", ".join(f"--{role}-column NAME" for role in unknown)
        raise BadInputError(
            f"{path} has no column that is known as {_listed(unknown)}; it has {_listed(names)}. "
            f"Name it with {how}."
        )
    taken = set(found.values())
    unfit = [name for name in given.known or () if name in taken]
    if unfit:
        raise BadInputError(
            f"{_listed(unfit)} of {path} cannot be known in advance: stores, dates and sales are what is forecast. "
            "Leave it out of --known."
        )
    rest = [name for name in names if name not in taken]
    partner = given.partner or next(iter(matching(rest, PARTNER)), None)
    opened = given.open or next(iter(matching(rest, OPEN)), None)
    rest = [name for name in rest if name not in (partner, opened)]
    known = (
        [name for name in rest if _is_known(name)]
        if given.known is None
        else list(dict.fromkeys(given.known))
    )
    return ColumnNames(
        store=str(found["store"]),
        date=str(found["date"]),
        sales=str(found["sales"]),
        partner=partner,
        open=opened,
        known=tuple(known),
        left_out=tuple(name for name in rest if name not in known),
    )


def _is_known(name: str) -> bool:
    return not _KNOWN_WORDS.isdisjoint(name_words(name)) or plain(name) in _KNOWN_NAMES


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"
