"""Pictures in a labelled grid."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT, BLANK = "#ffffff", "#1d2430", "#6b7280", "#eef0f4"

#: Size of the type: a share of a cell's longer side, within bounds in pixels.
SHARE, SMALLEST, LARGEST = 1 / 12, 14, 48


class Labels(NamedTuple):
    """The title of the rows or columns, and the label of each."""

    title: str
    labels: Sequence[str]


def grid(
    cells: Mapping[tuple[int, int], Image.Image | str], rows: Labels, columns: Labels, box: tuple[int, int]
) -> Image.Image:
    """Lays pictures out in a labelled grid.

    Args:
        cells: by row and column from 0, a picture, or a sentence in its place; other cells are blank.
        rows: labels on the left.
        columns: labels at the top; columns are as wide as they need.
        box: (width, height) of a cell in pixels; pictures are fitted into it.
    """
    size, gap, line, wide, high, left, top = _layout(rows, columns, box)
    font = ImageFont.load_default(size)
    width = max(left + len(columns.labels) * (wide + gap), left + _width(font, columns.title)) + gap
    height = max(top + len(rows.labels) * (high + gap), top + _width(font, rows.title)) + gap
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)

    middle = left + (len(columns.labels) * (wide + gap) - gap) // 2
    draw.text((middle, size + line // 2), columns.title, FAINT, font, "mm")
    for number, label in enumerate(columns.labels):
        draw.text((left + number * (wide + gap) + wide // 2, top - line // 2), label, INK, font, "mm")
    if rows.title:
        middle = top + (len(rows.labels) * (high + gap) - gap) // 2
        title = Image.new("L", (_width(font, rows.title), line))
        ImageDraw.Draw(title).text((0, line // 2), rows.title, 255, font, "lm")
        title = title.rotate(90, expand=True)
        sheet.paste(FAINT, (size, max(0, middle - title.height // 2)), title)
    for row, label in enumerate(rows.labels):
        draw.text((left - gap, top + row * (high + gap) + high // 2), label, INK, font, "rm")
    for place, (x, y, _, _) in boxes(rows, columns, box).items():
        _cell(sheet, cells.get(place, ""), (x, y), box)
    return sheet


def captioned(picture: Image.Image, lines: Sequence[str], width: int) -> Image.Image:
    """A picture resized to a width in pixels, with lines of text below it."""
    height, line = round(picture.height * width / picture.width), round(1.6 * SMALLEST)
    cell = Image.new("RGB", (width, height + line * len(lines)), PAPER)
    cell.paste(picture.resize((width, height), Image.Resampling.LANCZOS))
    for number, text in enumerate(lines):
        place = 0, height + line * number + line // 2
        ImageDraw.Draw(cell).text(place, text, INK, ImageFont.load_default(SMALLEST), "lm")
    return cell


def boxes(rows: Labels, columns: Labels, box: tuple[int, int]) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """Where ``grid`` draws each cell: by row and column from 0, its (left, top, right, bottom) in pixels."""
    _, gap, _, wide, high, left, top = _layout(rows, columns, box)
    corners = {
        (row, column): (
            left + column * (wide + gap) + (wide - box[0]) // 2,
            top + row * (high + gap) + (high - box[1]) // 2,
        )
        for row in range(len(rows.labels))
        for column in range(len(columns.labels))
    }
    return {place: (x, y, x + box[0], y + box[1]) for place, (x, y) in corners.items()}


def _layout(rows: Labels, columns: Labels, box: tuple[int, int]) -> tuple[int, int, int, int, int, int, int]:
    """In pixels: size of the type, gap, line, a cell's width and height, left and top of the first cell."""
    size = round(min(max(max(box) * SHARE, SMALLEST), LARGEST))
    font = ImageFont.load_default(size)
    gap = size // 2
    line = round(size * 1.6)
    wide = max(box[0], *(_width(font, label) for label in columns.labels))
    high = max(box[1], line)
    left = size + (line if rows.title else 0) + max(_width(font, label) for label in rows.labels) + gap
    top = size + (line if columns.title else 0) + (line if any(columns.labels) else 0)
    return size, gap, line, wide, high, left, top


def _cell(sheet: Image.Image, content: Image.Image | str, corner: tuple[int, int], box: tuple[int, int]) -> None:
    """Draws a picture fitted into its box, or a sentence on a blank one."""
    if isinstance(content, str):
        blank = Image.new("RGB", box, BLANK)
        font = ImageFont.load_default(SMALLEST)
        ImageDraw.Draw(blank).multiline_text(
            (box[0] // 2, box[1] // 2), _wrapped(content, font, box[0] - SMALLEST), FAINT, font, "mm", align="center"
        )
        sheet.paste(blank, corner)
        return
    scale = min(box[0] / content.width, box[1] / content.height)
    fitted = max(1, round(content.width * scale)), max(1, round(content.height * scale))
    picture = content if fitted == content.size else content.resize(fitted, Image.Resampling.BICUBIC)
    sheet.paste(picture, (corner[0] + (box[0] - fitted[0]) // 2, corner[1] + (box[1] - fitted[1]) // 2))


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(font, longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines).strip()


def _width(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> int:
    return round(font.getlength(text))


#: Of a contact sheet: pixels of a patch's side, patches in a row of a block, blocks in a row.
PATCH, BLOCK, ACROSS = 64, 3, 8


def contact_sheet(title: str, blocks: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Blocks of three by three patches, each under its label. Small patches are enlarged without smoothing."""
    block = BLOCK * (PATCH + 2)
    cells: dict[tuple[int, int], Image.Image] = {}
    font = ImageFont.load_default(SMALLEST)
    for number, (label, patches) in enumerate(blocks.items()):
        cell = Image.new("RGB", (block, block + 2 * SMALLEST), PAPER)
        ImageDraw.Draw(cell).text((0, SMALLEST), label, INK, font, "lm")
        for place, patch in enumerate(patches):
            resampling = Image.Resampling.NEAREST if patch.width < PATCH else Image.Resampling.LANCZOS
            corner = place % BLOCK * (PATCH + 2), place // BLOCK * (PATCH + 2) + 2 * SMALLEST
            cell.paste(patch.resize((PATCH, PATCH), resampling), corner)
        cells[divmod(number, ACROSS)] = cell
    rows, columns = -(-len(blocks) // ACROSS), min(len(blocks), ACROSS)
    return grid(cells, Labels("", [""] * rows), Labels(title, [""] * columns), (block, block + 2 * SMALLEST))
