"""Quality bands: their looks, and how many stores are in each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import altair as alt
import polars as pl

from core.forecasts.bands import BANDS, Band
from dashboard.charts.altair_parts import LABEL_AXIS, empty_chart, titled
from dashboard.charts.theme import GREY, OKABE_ITO, TEXT_GREY
from dashboard.formats import MISSING, band_label, count, number, percent

HEIGHT = 264

# From blue to orange as colour-blind eyes see it too, Okabe and Ito's hues at 3 to 1 on white and on black.
BAND_COLOURS: Final[dict[Band, str]] = {
    Band.EXCELLENT: OKABE_ITO[0],
    Band.GOOD: "#3F97D3",
    Band.FAIR: "#C98500",
    Band.POOR: "#B84A00",
    Band.UNKNOWN: GREY,
    Band.FAILED: "#C2255C",
}
# Plotly's symbols, the signs of `formats.band_label`; triangles are left for arrows at the edge of a chart.
BAND_SYMBOLS: Final[dict[Band, str]] = {
    Band.EXCELLENT: "circle",
    Band.GOOD: "square",
    Band.FAIR: "diamond",
    Band.POOR: "cross",
    Band.UNKNOWN: "circle-open",
    Band.FAILED: "x",
}

# Left out while nobody is in them.
_EXCEPTIONS = (Band.UNKNOWN, Band.FAILED)
# Pixels for the text beside the longest bar.
_TEXT_ROOM = 190


def bands_chart(counts: Mapping[Band, int], volumes: Mapping[Band, float] | None) -> alt.LayerChart:
    """Draw a bar a band, best first, as long as the band has stores; its shares stand beside it.

    The four bands of quality have a row always, unknown and failed only with stores in them.

    Parameters
    ----------
    counts : mapping of Band to int
        Stores.
    volumes : mapping of Band to float, optional
        Sales of those stores; without it, or with a sum of zero, shares of sales are not written.
    """
    stores = sum(counts.values())
    title = f"Forecast quality of {count(stores, 'store')}"
    if not stores:
        return empty_chart("Forecast quality", "No store has been measured yet.", HEIGHT)
    shown = [band for band in BANDS if counts.get(band) or band not in _EXCEPTIONS]
    sales = {band: _known(volumes, band) for band in shown}
    all_sales = sum(volume for volume in sales.values() if volume is not None)
    rows = [_row(band, counts.get(band, 0), stores, sales[band], all_sales) for band in shown]
    labels = [band_label(band) for band in shown]
    base = alt.Chart(pl.DataFrame(rows)).encode(
        y=alt.Y(field="band", type="nominal", sort=labels, title=None, axis=LABEL_AXIS),
        x=alt.X(
            field="stores",
            type="quantitative",
            title="Stores",
            scale=alt.Scale(
                domain=[0, max(counts.values())],
                range=[0, alt.ExprRef(f"max(40, width - {_TEXT_ROOM})")],
                nice=False,
            ),
            axis=alt.Axis(
                tickCount=alt.ExprRef("width < 480 ? 2 : 5"), tickMinStep=1, format=",d", grid=False
            ),
        ),
        tooltip=[
            alt.Tooltip(field="band", type="nominal", title="quality"),
            alt.Tooltip(field="stores", type="quantitative", format=",", title="stores"),
            alt.Tooltip(field="share", type="nominal", title="share of stores"),
            alt.Tooltip(field="volume", type="nominal", title="sales"),
            alt.Tooltip(field="volume_share", type="nominal", title="share of sales"),
        ],
    )
    colours = alt.Scale(domain=labels, range=[BAND_COLOURS[band] for band in shown])
    bars = base.mark_bar(size=18).encode(
        color=alt.Color(field="band", type="nominal", scale=colours, legend=None)
    )
    texts = base.mark_text(align="left", dx=6, color=TEXT_GREY).encode(
        text=alt.Text(field="text", type="nominal")
    )
    best = (Band.EXCELLENT, Band.GOOD)
    parts = [f"{percent(sum(counts.get(band, 0) for band in best) / stores)} of stores"]
    if all_sales > 0:
        parts.append(f"{_share(sum(sales[band] or 0.0 for band in best), all_sales)} of sales")
    return titled([bars, texts], title, f"excellent or good: {', '.join(parts)}", HEIGHT)


def _known(volumes: Mapping[Band, float] | None, band: Band) -> float | None:
    volume = (volumes or {}).get(band)
    return volume if volume is not None and math.isfinite(volume) else None


def _row(band: Band, stores: int, of: int, volume: float | None, all_volume: float) -> dict[str, str | int]:
    share = percent(stores / of)
    volume_share = _share(volume, all_volume) if volume is not None and all_volume > 0 else MISSING
    sold = "" if volume_share == MISSING else f" · {volume_share} of sales"
    return {
        "band": band_label(band),
        "stores": stores,
        "share": share,
        "volume": number(volume),
        "volume_share": volume_share,
        "text": f"{count(stores, 'store')} · {share}{sold}",
    }


def _share(part: float, whole: float) -> str:
    return "<0.01%" if 0 < part < 0.0001 * whole else percent(part / whole)
