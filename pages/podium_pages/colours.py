"""The charts' classes in print: the dashboard's light colours without variables, which PDF libraries do not know."""

from markupsafe import Markup

_SERIES = ("#0060a8", "#b34700", "#006e56", "#9c3f78", "#725c00", "#5a5e66")
_DASHES = ("none", "7 3", "2 3", "9 3 2 3", "4 4", "1 4")
_HEAT = ("#e9eff4", "#b9d2e8", "#f0b264", "#c04a17")
_INK, _MUTED, _LINE, _GOOD, _CRITICAL = "#1b1d21", "#5a5e66", "#e2e2dc", "#0d6a4d", "#b0241c"
_TEXT = {"font-size": "11.5px", "font-family": "Vera", "fill": _MUTED}

PRINTED: dict[str, dict[str, str]] = {
    **{name: dict(_TEXT) for name in ("tick", "axis-name", "zero-text")},
    "row-name": {**_TEXT, "fill": _INK},
    "value-text": {**_TEXT, "fill": _INK},
    "on-fill": {**_TEXT, "fill": "#ffffff", "font-size": "13px"},
    "bound-text": {**_TEXT, "fill": _CRITICAL},
    "decided-text": {**_TEXT, "fill": _GOOD},
    "grid": {"stroke": _LINE, "stroke-width": "1"},
    "zero": {"stroke": "#85888f", "stroke-width": "1.2", "stroke-dasharray": "2 3"},
    "bound": {"stroke": _CRITICAL, "stroke-width": "1.2", "stroke-dasharray": "5 3"},
    "decided": {"stroke": _GOOD, "stroke-width": "1.2"},
    "alert-mark": {"fill": _CRITICAL, "stroke": "none"},
    "heat-mark": {"fill": _INK, "stroke": "none"},
    "heat-alert": {"fill": _INK, "stroke": "none"},
    "hit": {"fill": "none", "stroke": "none"},
    **{f"heat-{step}": {"fill": colour, "stroke": "none"} for step, colour in enumerate(_HEAT)},
    **{
        f"line-{index}": {"fill": "none", "stroke": colour, "stroke-width": "2", "stroke-dasharray": _DASHES[index]}
        for index, colour in enumerate(_SERIES)
    },
    **{f"band-{index}": {"fill": colour, "fill-opacity": "0.16", "stroke": "none"} for index, colour in enumerate(_SERIES)},
    **{f"dot-{index}": {"fill": colour, "stroke": "none"} for index, colour in enumerate(_SERIES)},
    **{f"fill-{index}": {"fill": colour, "stroke": "none"} for index, colour in enumerate(_SERIES)},
    **{f"whisker-{index}": {"stroke": colour, "stroke-width": "2"} for index, colour in enumerate(_SERIES)},
    "then": {"fill": "#e3e4e6", "stroke": "#85888f", "stroke-width": "1"},
    "now": {"fill": _SERIES[0], "stroke": "none"},
}
"""Presentation attributes by class."""


def standing_alone(picture: Markup) -> str:
    """A chart's picture as a file of its own: its size, and the colours of its classes, written into it."""
    rules = "".join(
        f".{name}{{{';'.join(f'{key}:{value}' for key, value in one.items())}}}" for name, one in PRINTED.items()
    )
    head, _, body = str(picture).partition("<title>")
    _, _, width, height = head.partition('viewBox="')[2].partition('"')[0].split()
    sized = head.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" ', 1)
    return f"{sized}<style>{rules}</style><title>{body}"
