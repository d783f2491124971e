"""What all charts share: colours that a run keeps, the layout of a figure, names made safe for Plotly."""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.formats import shortened

# Okabe and Ito's palette without black and yellow: a line has to be seen on white and on black.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
RUN_COLOURS = (*OKABE_ITO, "#AA4499", "#999933", "#7E6BC4", "#A0694B")
DASHES = ("solid", "dash", "dot", "dashdot")

ACCENT = "#2E9B6B"
GREY = "#8A8F8C"
# Reads on the light page and on the dark one: 4.5 to 1 on both.
TEXT_GREY = "#767676"
GRID = "rgba(128, 136, 132, 0.22)"
TRANSPARENT = "rgba(0, 0, 0, 0)"
# From dark to light like cividis, but both ends stand out from a white and from a black page.
CONTINUOUS = ((0.0, "#0072B2"), (0.5, "#8A8F8C"), (1.0, "#E69F00"))
DENSITY = (
    (0.0, "rgba(46, 155, 107, 0.18)"),
    (0.35, "rgba(46, 155, 107, 0.6)"),
    (1.0, "rgba(46, 155, 107, 1)"),
)

HEIGHT = 380
LEGEND_HEIGHT = 84
NAME_LENGTH = 48

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "#": "&#35;", "$": "&#36;", "%": "&#37;"})
_TITLE_WIDTH = 46
_NOTE_WIDTH = 62


@dataclass(frozen=True, slots=True)
class LineStyle:
    """How the line of a run is drawn; the dash tells runs apart once every colour is taken."""

    colour: str
    dash: str = "solid"


def run_colour(run_id: str) -> str:
    """Return the colour of a run, the same on every page: a hash of its id picks it."""
    return OKABE_ITO[zlib.crc32(run_id.encode()) % len(OKABE_ITO)]


def run_colours(run_ids: Iterable[str]) -> dict[str, str]:
    """Return a colour for every run of one chart; see `line_styles`."""
    return {run_id: style.colour for run_id, style in line_styles(run_ids).items()}


def line_styles(run_ids: Iterable[str]) -> dict[str, LineStyle]:
    """Return a line style for every run of one chart, without two runs alike up to forty runs.

    A run has its own colour unless another run of the chart has it already, then the next free one; from
    the eleventh run on, colours return with another dash. The order of `run_ids` changes no style, only the
    order of the answer.
    """
    wanted = list(dict.fromkeys(run_ids))
    styles: dict[str, LineStyle] = {}
    ordered = sorted(wanted)
    for dash_index in range(0, len(ordered), len(RUN_COLOURS)):
        group = ordered[dash_index : dash_index + len(RUN_COLOURS)]
        dash = DASHES[(dash_index // len(RUN_COLOURS)) % len(DASHES)]
        free = list(RUN_COLOURS)
        unlucky = []
        for run_id in group:
            colour = run_colour(run_id)
            if colour in free:
                free.remove(colour)
                styles[run_id] = LineStyle(colour, dash)
            else:
                unlucky.append(run_id)
        for run_id, colour in zip(unlucky, free, strict=False):
            styles[run_id] = LineStyle(colour, dash)
    return {run_id: styles[run_id] for run_id in wanted}


def plain(text: str, length: int = NAME_LENGTH) -> str:
    """Make a name safe for Plotly's titles, labels, legends and hover texts, which read HTML and TeX.

    Longer names lose their middle. "#" is escaped because Streamlit replaces colours such as #000001 in the
    whole figure, "%" because hover templates read `%{...}`.
    """
    return shortened(" ".join(text.split()), length).translate(_ENTITIES)


def finish(
    figure: go.Figure,
    *,
    title: str,
    x_title: str = "",
    y_title: str = "",
    note: str = "",
    height: int = HEIGHT,
    right: int = 12,
    legend: str | None = None,
) -> go.Figure:
    """Give a figure its title, axes and quiet looks, and return it.

    Parameters
    ----------
    title, x_title, y_title, note : str
        Plain texts, escaped here. The note stands under the title: what was left out, what a mark means.
    height : int
        Pixels; the same whatever the data, so that pages do not jump.
    right : int
        Pixels kept free right of the plot, for direct labels.
    legend : str, optional
        Title, possibly empty, of a legend under the plot; it adds `LEGEND_HEIGHT`, in which it scrolls.
        Without it there is no legend.
    """
    title_lines, note_lines = _lines(title, _TITLE_WIDTH), _lines(note, _NOTE_WIDTH)
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "showgrid": True,
        "automargin": True,
        "title_standoff": 8,
    }
    figure.update_xaxes(title_text=plain(x_title), zeroline=False, **axis)
    figure.update_yaxes(title_text=plain(y_title), **axis)
    below = 0 if legend is None else LEGEND_HEIGHT
    top = 18 + 20 * len(title_lines) + (10 + 16 * len(note_lines) if note else 0)
    return figure.update_layout(
        title={
            "text": "<br>".join(title_lines),
            "subtitle": {"text": "<br>".join(note_lines), "font": {"size": 12}},
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            # plotly.js 4.1 puts a title of several lines a line too high.
            "pad": {"t": 6 if len(title_lines) == 1 else 20},
            "font": {"size": 15},
        },
        height=height + below,
        margin={"t": top, "r": right, "b": 44 + below, "l": 8, "pad": 2},
        showlegend=legend is not None,
        legend={
            "orientation": "h",
            # A band would turn the order round.
            "traceorder": "normal",
            "title": {"text": plain(legend or ""), "side": "top"},
            "x": 0,
            "y": below / (height + below),
            "yref": "container",
            "yanchor": "top",
            "maxheight": LEGEND_HEIGHT,
        },
        paper_bgcolor=TRANSPARENT,
        plot_bgcolor=TRANSPARENT,
        hovermode="closest",
        hoverlabel={"align": "left", "namelength": -1},
        modebar={"bgcolor": TRANSPARENT},
        font={"size": 12},
    )


def number_axis(values: npt.ArrayLike, log: bool = False) -> dict[str, object]:
    """Return the settings of a numeric axis: 0.00001 and 15,000 in full, not Plotly's "10µ" and "15k"."""
    if log:
        return {"type": "log", "exponentformat": "power"}
    size = float(np.nanmax(np.abs(np.asarray(values, dtype=np.float64)), initial=0.0))
    written_out = size == 0 or 1e-5 <= size < 1e9
    return {"type": "linear", "exponentformat": "none" if written_out else "e", "separatethousands": True}


def value_range(figure: go.Figure, log: bool, *, include: Sequence[float] = ()) -> tuple[float, float]:
    """Return limits of the y axis around all that is drawn and `include`, in powers of ten if it is logarithmic."""
    drawn = [np.asarray(trace.y, dtype=np.float64) for trace in figure.data]
    values = np.concatenate([*drawn, np.array(include, dtype=np.float64)])
    if log:
        values = np.log10(values)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad


def add_band(
    figure: go.Figure, x: object, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], colour: str
) -> None:
    """Fill between two lines without gaps, which share their x values."""
    hidden = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_trace(go.Scatter(x=x, y=low, **hidden))
    figure.add_trace(go.Scatter(x=x, y=high, fill="tonexty", fillcolor=faded(colour, 0.18), **hidden))


def add_gapped_band(
    figure: go.Figure,
    x: npt.NDArray[np.str_],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    colour: str,
    name: str,
) -> None:
    """Fill between two lines that share their x values and stay open where one is NaN; it has a legend entry.

    One trace, an outline for each stretch without NaN, however many there are.
    """
    there = ~(np.isnan(low) | np.isnan(high))
    edges = np.flatnonzero(np.diff(there, prepend=False, append=False)).reshape(-1, 2)
    xs, ys = [], []
    for start, end in edges:
        forth = np.arange(start, end)
        xs += [x[forth], x[forth[::-1]], x[start : start + 1]]
        ys += [high[forth], low[forth[::-1]], np.array([np.nan])]
    if not xs:
        return
    figure.add_trace(
        go.Scatter(
            x=np.concatenate(xs),
            y=np.concatenate(ys),
            name=plain(name),
            mode="lines",
            # A line, for an interval at a single time has no area.
            line={"width": 1, "color": faded(colour, 0.4)},
            fill="toself",
            fillcolor=faded(colour, 0.18),
            hoverinfo="skip",
        )
    )


def faded(colour: str, opacity: float) -> str:
    """Return a colour such as "#0072B2" with an opacity."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def colour_bar(title: str) -> dict[str, object]:
    """Return a slim colour bar with its title on top."""
    return {"title": {"text": plain(title, 18)}, "thickness": 10, "outlinewidth": 0, "xpad": 4}


def empty_figure(title: str, message: str, height: int = HEIGHT) -> go.Figure:
    """Return a figure that says why there is nothing to see."""
    figure = finish(go.Figure(), title=title, height=height)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text="<br>".join(_lines(message, 40)), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False
    )
    return figure


def _lines(text: str, width: int) -> Sequence[str]:
    """Wrap a plain text for a narrow screen, then escape each line: Plotly breaks no line by itself."""
    return [plain(line, width) for line in textwrap.wrap(text, width)]
