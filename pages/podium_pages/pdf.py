"""A report as PDF, on A4: the same sections as the page, the same pictures.

The fonts are those that the PDF library brings (Bitstream Vera): Latin letters. Others are printed as a box; the HTML has
them.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as escaped

import reportlab
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, TableStyle
from reportlab.platypus import Table as Grid
from svglib.svglib import svg2rlg

from podium_pages import words
from podium_pages.charts.frame import Chart, Table
from podium_pages.colours import PRINTED, standing_alone
from podium_pages.parts import Badge, Fact, Part, Section
from podium_pages.report import Report

_FONT, _BOLD = "Vera", "VeraBd"
_MARGIN = 16 * mm
_WIDTH = A4[0] - 2 * _MARGIN - 12
"""Between the paddings of the frame."""
_GUTTER = 5 * mm
_MOST_ROWS = 40
"""Of a table: more is for the HTML and the API."""
_INK, _MUTED, _LINE = HexColor("#1b1d21"), HexColor("#5a5e66"), HexColor("#e2e2dc")
_BADGES = {"Good": "#0d6a4d", "Warning": "#855400", "Critical": "#b0241c", "Unknown": "#5a5e66"}

_SIGNS = {
    **{sign: ("ZapfDingbats", sign) for sign in "■✓◆▲"},
    "○": ("ZapfDingbats", "❍"),
    **{letter: ("Symbol", letter) for letter in "αρ≤≥∞"},
}
"""Font and letter by sign: fonts that every reader of PDF has."""

_TEXT = ParagraphStyle("text", fontName=_FONT, fontSize=8.5, leading=12, textColor=_INK)
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=7, leading=9.2)
_SMALL_RIGHT = ParagraphStyle("small-right", parent=_SMALL, alignment=2)
_SAYS = ParagraphStyle("says", parent=_TEXT, textColor=_MUTED, spaceAfter=4)
_H1 = ParagraphStyle("h1", parent=_TEXT, fontName=_BOLD, fontSize=17, leading=21, spaceAfter=3)
_H2 = ParagraphStyle("h2", parent=_TEXT, fontName=_BOLD, fontSize=12.5, leading=16, spaceBefore=14, spaceAfter=4)
_H3 = ParagraphStyle("h3", parent=_TEXT, fontName=_BOLD, fontSize=9.5, leading=13, spaceBefore=6, spaceAfter=3)
_BULLET = ParagraphStyle("bullet", parent=_TEXT, leftIndent=10, bulletIndent=0, spaceAfter=2)


def pdf(report: Report) -> bytes:
    """The whole document."""
    _fonts()
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=report.title,
        subject=report.subtitle,
        creator="Podium",
    )

    def foot(canvas: Any, made: Any) -> None:
        canvas.setFont(_FONT, 7)
        canvas.setFillColor(_MUTED)
        canvas.drawString(_MARGIN, 9 * mm, f"Made by Podium, {words.moment(report.made_at)}")
        canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, str(made.page))

    document.build(list(_story(report)), onFirstPage=foot, onLaterPages=foot)
    return file.getvalue()


def said(text: str) -> str:
    """Text as the paragraphs take it: escaped, and with the signs that the text font lacks from the fonts that have them."""
    for sign, (font, letter) in _SIGNS.items():
        text = text.replace(sign, f"\0{font}\1{letter}\2")
    marked = escaped(text)
    return marked.replace("\0", '<font name="').replace("\1", '">').replace("\2", "</font>")


def _fonts() -> None:
    folder = Path(reportlab.__file__).parent / "fonts"
    for name in (_FONT, _BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(_FONT, normal=_FONT, bold=_BOLD, italic=_FONT, boldItalic=_BOLD)


def _story(report: Report) -> Iterator[Flowable]:
    yield Paragraph(f"{said(report.title)} {_badge(report.badge)}", _H1)
    yield Paragraph(said(report.subtitle), _SAYS)
    yield from _facts(report.facts)
    if report.sentences:
        yield Paragraph("In short", _H2)
        yield from (Paragraph(said(one), _BULLET, bulletText="•") for one in report.sentences)
    for section in report.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[Flowable]:
    yield Paragraph(said(section.title), _H2)
    if section.says:
        yield Paragraph(said(section.says), _SAYS)
    if section.caution:
        yield Paragraph(f'<font color="{_BADGES["Warning"]}">{said(section.caution)}</font>', _TEXT)
    if section.empty is not None:
        yield Paragraph(said(" ".join((section.empty.says, section.empty.todo, section.empty.code)).strip()), _SAYS)
    for part in section.parts:
        yield from _part(part)


def _part(part: Part) -> Iterator[Flowable]:
    if part.title or part.badge:
        yield Paragraph(f"{said(part.title)} {_badge(part.badge) if part.badge else ''}", _H3)
    yield from (Paragraph(said(one), _TEXT) for one in part.says)
    yield from _facts(part.facts)
    yield from _charts(part.charts, 3 if part.across == "three" else 2)
    if part.table is not None:
        yield from _table(part.table, numbers=part.numbers)


def _badge(badge: Badge) -> str:
    return f'<font color="{_BADGES[badge.level]}" size="9">{said(badge.text)}</font>'


def _facts(facts: Sequence[Fact]) -> Iterator[Flowable]:
    """Two pairs a line."""
    if not facts:
        return
    cells = [(Paragraph(said(one.term), _SMALL), Paragraph(f"<b>{said(one.value)}</b>", _SMALL)) for one in facts]
    if len(cells) % 2:
        cells.append((Paragraph("", _SMALL), Paragraph("", _SMALL)))
    rows = [[*cells[index], *cells[index + 1]] for index in range(0, len(cells), 2)]
    widths = [_WIDTH * share for share in (0.17, 0.33, 0.17, 0.33)]
    yield Grid(rows, widths, style=[("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
    yield Spacer(1, 4)


def _charts(charts: Sequence[Chart], across: int) -> Iterator[Flowable]:
    line: list[Chart] = []
    for chart in charts:
        if chart.wide:
            yield KeepTogether(_picture(chart, _WIDTH))
            continue
        line.append(chart)
        if len(line) == across:
            yield _side_by_side(line, across)
            line = []
    if line:
        yield _side_by_side(line, across)


def _side_by_side(charts: Sequence[Chart], across: int) -> Flowable:
    width = (_WIDTH - (across - 1) * _GUTTER) / across
    cells: list[Any] = [_picture(chart, width) for chart in charts]
    cells += [""] * (across - len(cells))
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ]
    return Grid([cells], [width + _GUTTER] * (across - 1) + [width], style=style)


def _picture(chart: Chart, width: float) -> list[Flowable]:
    """The title, the picture at this width, and what its marks stand for."""
    drawing = drawing_of(chart)
    scale = width / drawing.width
    drawing.width, drawing.height = width, drawing.height * scale
    drawing.scale(scale, scale)
    shown: list[Flowable] = [Paragraph(f"<b>{said(chart.title)}</b>", _SMALL)]
    if chart.note:
        shown.append(Paragraph(said(chart.note), _SMALL))
    shown.append(drawing)
    if chart.keys:
        shown.append(Paragraph("; ".join(_key(key.style, key.text) for key in chart.keys), _SMALL))
    return [*shown, Spacer(1, 6)]


def _key(style: str, text: str) -> str:
    colour = PRINTED.get(style, {}).get("stroke") or PRINTED.get(style, {}).get("fill") or "#5a5e66"
    return f'<font color="{colour if colour != "none" else "#5a5e66"}">{said("■")}</font> {said(text)}'


def drawing_of(chart: Chart) -> Any:
    """The picture as the PDF library's drawing."""
    return svg2rlg(io.BytesIO(standing_alone(chart.svg).encode()))


def _table(table: Table, *, numbers: bool) -> Iterator[Flowable]:
    shown = list(table.rows[:_MOST_ROWS])
    body = _SMALL_RIGHT if numbers else _SMALL
    rows = [[Paragraph(f"<b>{said(cell)}</b>", _SMALL if not index else body) for index, cell in enumerate(table.head)]]
    rows += [
        [Paragraph(said(_breakable(cell)), _SMALL if not index else body) for index, cell in enumerate(row)] for row in shown
    ]
    grid = Grid(rows, _widths(table, shown), repeatRows=1)
    grid.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    yield grid
    if left := len(table.rows) - len(shown):
        yield Paragraph(f"… and {left} more rows, in the HTML report.", _SMALL)
    yield Spacer(1, 6)


def _widths(table: Table, rows: Sequence[Sequence[str]]) -> list[float]:
    """Shares of the page by the length of what stands in a column, none starved."""
    lengths = [
        min(max([len(head), *(len(row[index]) for row in rows if index < len(row))]), 60) + 4
        for index, head in enumerate(table.head)
    ]
    return [_WIDTH * length / sum(lengths) for length in lengths]


def _breakable(text: str, longest: int = 40) -> str:
    """Long words get places to break: a digest must not push the other columns off the page."""
    cut = [part[start : start + longest] for part in text.split(" ") for start in range(0, max(len(part), 1), longest)]
    return " ".join(cut)
