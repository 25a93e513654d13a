"""A report as one HTML file: style sheet and pictures inside, no script. Still readable in ten years."""

from importlib import resources

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from podium_monitor.dashboard import words
from podium_monitor.dashboard.pages import SIGNS
from podium_monitor.reports.report import Report


def html(report: Report) -> bytes:
    """Everything that was captured or configured is escaped."""
    return _TEMPLATES.get_template("reports/report.html").render(report=report, styles=_STYLES).encode()


_STYLES = Markup((resources.files("podium_monitor.dashboard") / "static" / "podium.css").read_text(encoding="utf-8"))  # noqa: S704  our own file
_TEMPLATES = Environment(
    loader=PrefixLoader(
        {
            "reports": PackageLoader("podium_monitor.reports", "templates"),
            "pages": PackageLoader("podium_monitor.dashboard", "templates"),
        }
    ),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(sign=SIGNS.__getitem__, moment=words.moment)
