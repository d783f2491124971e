"""Names that columns and files of curves and trades go by, and how a name is compared with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# In order of preference, written as `plain` leaves them; the first of each is the name of our own format.
TIME = _names(
    "time date datetime timestamp index unnamed0 ts day dt bartime datetimeutc dates times timestamps"
)
VALUE = _names(
    "value equity portfoliovalue nav totalvalue accountvalue networth balance equitycurve totalequity "
    "portfolioequity accountequity accountbalance portfoliobalance netassetvalue netliquidation portfolio "
    "portfoliovalues values"
)
WEAK_VALUE = _names("capital wealth totalcapital totalassets assets aum")
RETURNS = _names(
    "returns return ret rets strategyreturns strategyreturn dailyreturns dailyreturn portfolioreturns "
    "portfolioreturn pnlpct returnpct returnspct pctreturn pctchange netreturns netreturn simplereturns"
)
BENCHMARK = _names(
    "benchmark benchmarkvalue benchmarkequity benchmarknav buyandhold buyhold buyandholdvalue bh spy sp500 "
    "market marketvalue"
)
BENCHMARK_RETURNS = _names(
    "benchmarkreturns benchmarkreturn benchmarkret marketreturns marketreturn spyreturns spyreturn "
    "buyandholdreturns buyholdreturns"
)
POSITION = _names("position positions netposition exposure holding holdings sharesheld")
CASH = _names("cash cashbalance cashvalue availablecash freecash")
TRADE_NAMES: Mapping[str, Sequence[str]] = {
    "entry_time": _names(
        "entrytime opentime entrydate opendate entrydatetime entrytimestamp opendatetime opentimestamp "
        "openedat entryat timein datein"
    ),
    "exit_time": _names(
        "exittime closetime exitdate closedate exitdatetime exittimestamp closedatetime closetimestamp "
        "closedat exitat timeout dateout"
    ),
    "side": _names("side direction type tradetype positiontype tradeside action"),
    "quantity": _names("quantity qty size shares units amount volume lots contracts positionsize tradesize"),
    "entry_price": _names("entryprice openprice avgentryprice priceopen openrate entry pricein entryrate"),
    "exit_price": _names("exitprice closeprice avgexitprice priceclose closerate exit priceout exitrate"),
    "pnl": _names(
        "pnl netpnl profit pl netprofit profitloss realizedpnl realisedpnl profitabs pandl profitandloss "
        "tradepnl grosspnl gain"
    ),
    "fees": _names("fees fee commission commissions costs cost totalfees transactioncosts transactioncost"),
}
FILL_PRICE = _names("price fillprice executionprice executedprice avgprice averageprice rate")
_TRADE_WORDS = frozenset(_names("trade trades fill fills order orders transaction transactions deals"))


def matching(columns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Give the columns that go by these names, in the order of the names."""
    written = {name: plain(name) for name in columns}
    exact = [name for name in columns if name == names[0]]
    found = [column for wanted in names for column, name in written.items() if name == wanted]
    return tuple(dict.fromkeys((*exact, *found)))


def plain(name: str) -> str:
    """Leave the letters and digits of a name, in lower case, and % as pct."""
    return re.sub(r"[^a-z0-9]+", "", name.lower().replace("%", "pct"))


def first(names: Sequence[str]) -> str | None:
    """Give the preferred one of some names, if there is any."""
    return names[0] if names else None


def name_words(path: str) -> frozenset[str]:
    """Take the name of a file apart: "backtest/PortfolioValues_2024.json" has portfolio, values, 2024."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", PurePosixPath(path).stem)
    return frozenset(re.findall(r"[a-z]+|[0-9]+", stem.lower()))


def is_trade_name(path: str) -> bool:
    """Whether a file is called trades, or alike."""
    return not _TRADE_WORDS.isdisjoint(name_words(path))
