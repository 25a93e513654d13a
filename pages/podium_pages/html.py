"""A report as one HTML file: style sheet and pictures inside, no script. Still readable in ten years.

The dashboard uses the same templates and the same style sheet.
"""

from importlib import resources

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from podium_pages import words
from podium_pages.charts.frame import rows
from podium_pages.parts import SIGNS
from podium_pages.report import Report

STYLES = (resources.files("podium_pages") / "static" / "podium.css").read_bytes()
"""One sheet for all pages."""


def environment(loader: BaseLoader) -> Environment:
    """Templates that escape everything they are given, and know how to say levels and times."""
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals.update(sign=SIGNS.__getitem__, moment=words.moment, rows=rows)
    return made


def templates() -> BaseLoader:
    """Those of this package: pieces.html, report.html."""
    return PackageLoader("podium_pages", "templates")


def html(report: Report) -> bytes:
    """Everything that was captured or configured is escaped."""
    return _TEMPLATES.get_template("report.html").render(report=report, styles=_STYLES).encode()


_STYLES = Markup(STYLES.decode())  # noqa: S704  our own file
_TEMPLATES = environment(templates())
