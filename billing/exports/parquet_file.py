"""Parquet, a row group at a time: exact decimals and UTC instants, memory for one group."""

from collections.abc import Collection, Generator, Iterable, Sequence
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

# About 50 MB as Python objects, which is what an export holds; readers skip whole groups by their statistics.
ROWS_PER_GROUP = 10_000
# Amounts have 12 places; 26 digits before them hold the ticks of any bill.
_NUMBER = pa.decimal128(38, 12)
_TIME = pa.timestamp("us", tz="UTC")


class _Sink:
    """A file that is only ever appended to; hands out what was written."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]  # pyarrow gives a buffer
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def write_parquet(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Collection[str],
    times: Collection[str],
    flags: Collection[str] = (),
) -> Generator[bytes, None, None]:
    """Yield the file. Raises pyarrow.ArrowInvalid for a number of more than 12 places, which would be rounded."""
    kinds = [(times, _TIME), (flags, pa.bool_()), (numbers, _NUMBER)]
    schema = pa.schema(
        [(name, next((kind for group, kind in kinds if name in group), pa.string())) for name in columns]
    )
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        source = iter(rows)
        while group := list(islice(source, ROWS_PER_GROUP)):
            arrays = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            yield sink.take()
    yield sink.take()
