"""Parquet and Arrow (IPC file) with the tables' own types. pyarrow is an extra and imported here only."""

from typing import Any, BinaryIO

import pandas as pd

from analyzer.outputs.writing import MissingExtra


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow", "arrow") from None
    return pyarrow


class ArrowWriter:
    """Writes tables of equal columns one after the other; each is a row group (Parquet) or a batch (Arrow).

    The types are fixed by the first table. Categories are dictionaries, except file names: those grow as files are
    read, and an Arrow file allows one dictionary a column.
    """

    def __init__(self, stream: BinaryIO, parquet: bool) -> None:
        self._arrow = _pyarrow()
        self._stream = stream
        self._parquet = parquet
        self._schema: Any = None
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows; the first table, empty or not, brings the types."""
        if self._writer is None:
            self._begin(frame)
        table = self._arrow.Table.from_pandas(self._plain(frame), schema=self._schema, preserve_index=False)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer; without it the file cannot be read."""
        if self._writer is not None:
            self._writer.close()

    def _begin(self, frame: pd.DataFrame) -> None:
        arrow = self._arrow
        plain = self._plain(frame)
        fields = arrow.schema([(name, self._type(plain[name].dtype)) for name in plain.columns])
        empty = arrow.Table.from_pandas(plain.iloc[:0], schema=fields, preserve_index=False)
        self._schema = empty.schema  # with pandas' notes on the nullable types
        if self._parquet:
            from pyarrow.parquet import ParquetWriter

            self._writer = ParquetWriter(self._stream, self._schema, compression="zstd")
        else:
            self._writer = arrow.ipc.new_file(self._stream, self._schema)

    @staticmethod
    def _plain(frame: pd.DataFrame) -> pd.DataFrame:
        names = [name for name in frame.columns if str(name).endswith("file") and frame[name].dtype == "category"]
        return frame.astype(dict.fromkeys(names, "string")) if names else frame

    def _type(self, dtype: Any) -> Any:
        arrow = self._arrow
        if isinstance(dtype, pd.CategoricalDtype):
            return arrow.dictionary(arrow.int16(), arrow.string())
        if dtype.kind == "M":
            return arrow.timestamp("ns", "UTC")
        if dtype.kind == "m":
            return arrow.duration("ns")
        if dtype.kind == "b":
            return arrow.bool_()
        if dtype.kind == "u":
            return arrow.uint64()
        if dtype.kind == "i":
            return arrow.int64()
        if dtype.kind == "f":
            return arrow.float64()
        return arrow.string() if isinstance(dtype, pd.StringDtype) else arrow.binary()
