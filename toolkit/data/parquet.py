"""Images in a Parquet file, as data sets on a hub are stored: a column ``image`` of bytes, or of bytes and path."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import ToolkitError
from .remote import attempt, beside, opened, read_whole, shown

COLUMN = "image"


class Row(NamedTuple):
    """A row: the image's name, its row group, and its number there."""

    name: str
    group: int
    row: int


def rows(place: str) -> list[Row]:
    """The rows of a Parquet file; of the images' column, only the names are read.

    Raises:
        ToolkitError: without pyarrow, or without the column.
    """
    with opened(place) as file:
        parquet = _pyarrow().ParquetFile(file)
        schema = parquet.schema_arrow
        if COLUMN not in schema.names:
            known = ", ".join(schema.names)
            raise ToolkitError(f"{shown(place)} has no column {COLUMN}; its columns are {known}.")
        field = getattr(schema.field(COLUMN).type, "get_field_index", lambda name: -1)  # only structs have it
        found: list[Row] = []
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            names: list[str | None] = [None] * count
            if field("path") >= 0:
                column = parquet.read_row_group(group, columns=[f"{COLUMN}.path"]).column(COLUMN)
                names = [cell and cell["path"] for cell in column.to_pylist()]
            first, file_name = len(found), shown(place).rpartition("/")[2]
            found += [Row(name or f"{file_name}, row {first + n}", group, n) for n, name in enumerate(names)]
    return found


def contents(place: str, chosen: Sequence[tuple[int, int]]) -> list[bytes | ToolkitError]:
    """The bytes of images of a file, by row group and row, or why one has none."""
    return [_content(place, _group(place, group)[row].as_py()) for group, row in chosen]


def _content(place: str, cell: Any) -> bytes | ToolkitError:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    path = cell.get("path") if isinstance(cell, dict) else None
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
        with opened(place) as file:
            return _pyarrow().ParquetFile(file).read_row_group(group, columns=[COLUMN]).column(COLUMN)

    return attempt(place, load)


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet  # an extra
    except ImportError as error:
        raise ToolkitError('Reading Parquet takes another package: pip install "normalized-vgg[hub]".') from error
    return pyarrow.parquet
