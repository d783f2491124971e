"""Names that columns and files of curves and trades go by, and words that stand for sides and positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.tables.names import name_words, spellings

# In order of preference, written as `plain` leaves them; the first of each is the name of our own format.
VALUE = spellings(
    "value equity portfoliovalue nav totalvalue accountvalue networth balance equitycurve totalequity "
    "portfolioequity accountequity accountbalance portfoliobalance netassetvalue netliquidation portfolio "
    "portfoliovalues values"
)
WEAK_VALUE = spellings("capital wealth totalcapital totalassets assets aum")
RETURNS = spellings(
    "returns return ret rets strategyreturns strategyreturn dailyreturns dailyreturn portfolioreturns "
    "portfolioreturn pnlpct returnpct returnspct pctreturn pctchange netreturns netreturn simplereturns"
)
BENCHMARK = spellings(
    "benchmark benchmarkvalue benchmarkequity benchmarknav buyandhold buyhold buyandholdvalue bh spy sp500 "
    "market marketvalue"
)
BENCHMARK_RETURNS = spellings(
    "benchmarkreturns benchmarkreturn benchmarkret marketreturns marketreturn spyreturns spyreturn "
    "buyandholdreturns buyholdreturns"
)
POSITION = spellings("position positions netposition exposure holding holdings sharesheld")
CASH = spellings("cash cashbalance cashvalue availablecash freecash")
TRADE_NAMES: Mapping[str, Sequence[str]] = {
    "entry_time": spellings(
        "entrytime opentime entrydate opendate entrydatetime entrytimestamp opendatetime opentimestamp "
        "openedat entryat timein datein"
    ),
    "exit_time": spellings(
        "exittime closetime exitdate closedate exitdatetime exittimestamp closedatetime closetimestamp "
        "closedat exitat timeout dateout"
    ),
    "side": spellings("side direction type tradetype positiontype tradeside action"),
    "quantity": spellings(
        "quantity qty size shares units amount volume lots contracts positionsize tradesize"
    ),
    "entry_price": spellings("entryprice openprice avgentryprice priceopen openrate entry pricein entryrate"),
    "exit_price": spellings("exitprice closeprice avgexitprice priceclose closerate exit priceout exitrate"),
    "pnl": spellings(
        "pnl netpnl profit pl netprofit profitloss realizedpnl realisedpnl profitabs pandl profitandloss "
        "tradepnl grosspnl gain"
    ),
    "fees": spellings(
        "fees fee commission commissions costs cost totalfees transactioncosts transactioncost"
    ),
}
FILL_PRICE = spellings("price fillprice executionprice executedprice avgprice averageprice rate")
_TRADE_WORDS = frozenset(spellings("trade trades fill fills order orders transaction transactions deals"))

SIDES = {
    "long": 1.0,
    "buy": 1.0,
    "b": 1.0,
    "l": 1.0,
    "short": -1.0,
    "sell": -1.0,
    "s": -1.0,
    "sellshort": -1.0,
}
POSITIONS = SIDES | dict.fromkeys(("flat", "neutral", "out", "cash"), 0.0)


def is_trade_name(path: str) -> bool:
    """Whether a file is called trades, or alike."""
    return not _TRADE_WORDS.isdisjoint(name_words(path))
