"""Images in a Parquet file, as data sets on a hub are stored.

Their column is the one that is named, as in ``val.parquet#photo``, or else ``image``, or else the only one of bytes. It
holds bytes, or bytes and path, or text: paths, or base64.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import ToolkitError, imported
from ..pictures.decode import SUFFIXES
from .remote import attempt, beside, column_of, opened, read_whole, shown

COLUMN = "image"

#: Types of columns, by pyarrow's names.
BYTES, TEXT = ("binary", "large_binary"), ("string", "large_string")


class Row(NamedTuple):
    """A row: the image's name, its row group, and its number there."""

    name: str
    group: int
    row: int


def is_parquet(place: str) -> bool:
    """Whether a place is a Parquet file, or a column of one."""
    return shown(column_of(place)[0]).lower().endswith(".parquet")


def rows(place: str) -> list[Row]:
    """The rows of a Parquet file; of the images' column, only the names are read.

    Raises:
        ToolkitError: without pyarrow, or without a column of images.
    """
    with _opened(place) as (parquet, column):
        kind = parquet.schema_arrow.field(column).type
        named = _is_struct(kind) and kind.get_field_index("path") >= 0
        listed: list[Row] = []
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            names: list[str | None] = [None] * count
            if named:
                cells = parquet.read_row_group(group, columns=[f"{column}.path"]).column(column).to_pylist()
                names = [cell and cell["path"] for cell in cells]
            first, file_name = len(listed), shown(place).rpartition("/")[2]
            listed += [Row(name or f"{file_name}, row {first + n}", group, n) for n, name in enumerate(names)]
    return listed


@contextmanager
def _opened(place: str) -> Iterator[tuple[Any, str]]:
    """A Parquet file, and the name of its column of images."""
    arrow = imported("pyarrow.parquet", 'Reading Parquet takes another package: pip install "normalized-vgg[hub]".')
    with opened(column_of(place)[0]) as file:
        parquet = arrow.ParquetFile(file)
        yield parquet, _column(place, parquet.schema_arrow)


def _column(place: str, schema: Any) -> str:
    """The name of the column of images.

    Raises:
        ToolkitError: when there is none, several may be it, or it holds something else.
    """
    file, chosen = column_of(place)
    kinds = {name: schema.field(name).type for name in schema.names}
    of_bytes = [name for name, kind in kinds.items() if _is_bytes(kind)]
    name = chosen or (of_bytes[0] if COLUMN not in kinds and len(of_bytes) == 1 else COLUMN)
    if name not in kinds:
        readable = of_bytes or [name for name, kind in kinds.items() if str(kind) in TEXT]
        told = f"several of bytes ({', '.join(of_bytes)})" if of_bytes else f"these: {', '.join(kinds)}"
        remedy = f": choose one, as in {shown(file).rpartition('/')[2]}#{readable[0]}." if readable else "."
        raise ToolkitError(f"{shown(file)} has no column {name} but {told}{remedy}")
    if not _is_bytes(kinds[name]) and str(kinds[name]) not in TEXT:
        raise ToolkitError(f"The column {name} of {shown(file)} holds {kinds[name]}, not bytes, paths or base64.")
    return name


def _is_struct(kind: Any) -> bool:
    return str(kind).startswith("struct<")


def _is_bytes(kind: Any) -> bool:
    """Whether a column's type is bytes, or a struct of bytes or a path."""
    if _is_struct(kind):
        fields = {field.name: str(field.type) for field in kind}
        return fields.get("bytes") in BYTES or fields.get("path") in TEXT
    return str(kind) in BYTES


def contents(place: str, chosen: Sequence[tuple[int, int]]) -> list[bytes | ToolkitError]:
    """The bytes of images of a file, by row group and row, or why one has none."""
    return [_content(place, _group(place, group)[row].as_py()) for group, row in chosen]


def _content(place: str, cell: Any) -> bytes | ToolkitError:
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if isinstance(content, str):
        if not content.lower().endswith(SUFFIXES):
            try:
                return base64.b64decode(content.rpartition(",")[2], validate=True)  # after data:image/png;base64,
            except ValueError:
                return ToolkitError(f"A row of {shown(place)} holds text that is neither a path nor base64.")
        content, path = None, content
    if content is None and path:
        file = beside(place, path)
        try:
            return attempt(file, lambda: read_whole(file))
        except ToolkitError as error:
            return error
    return content if content is not None else ToolkitError(f"A row of {shown(place)} holds no image.")


@lru_cache(maxsize=1)
def _group(place: str, group: int) -> Any:
    """The images of a row group: they are compressed together, so they are read together."""

    def load() -> Any:
        with _opened(place) as (parquet, column):
            return parquet.read_row_group(group, columns=[column]).column(column)

    return attempt(place, load)
