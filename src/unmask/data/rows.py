"""Files with one document a row: JSON lines and Parquet, each text in a field of its row."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any

from unmask.data.kinds import HEAD, check_head
from unmask.data.talks import FORM as TALK
from unmask.data.talks import talk_of
from unmask.errors import Error
from unmask.lines import excerpt

_DECODER = json.JSONDecoder(parse_int=lambda digits: 0)  # no number is read, and Python's int() takes 4,300 digits
_PAIRS = json.JSONDecoder(parse_int=lambda digits: 0, object_pairs_hook=list)
_FORM = 'Write one object a line: {"text": "..."}.'
_CHOOSE = "Set data.text_field (--text-field)."
_TYPES = {"NoneType": "null", "int": "a number", "float": "a number", "bool": "true or false", "list": "a list"}
_TYPES |= {"dict": "an object", "bytes": "bytes"}


def json_lines(path: Path, form: str, text_field: str, chat: bool = False) -> Iterator[tuple[str, int]]:
    """Yield the texts of a .jsonl or .jsonl.gz, each with its line; or its talks (:mod:`unmask.data.talks`).

    Raises:
        Error: another kind of file, a bad line, or no such field.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if form == ".jsonl.gz" else path.open("rb") as lines:
            _check_lines(lines.peek(HEAD)[:HEAD], path)
            for number, line in enumerate(lines, 1):
                where = f"{path}, line {number}"
                if (bare := line.removeprefix(codecs.BOM_UTF8)).strip():
                    yield (_line_talk(bare, where) if chat else _line_text(bare, where, text_field)), number
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Error(f"{path} is damaged after line {number} ({error}). Fetch or compress it again.") from error


def _check_lines(head: bytes, path: Path) -> None:
    """Refuse what holds no JSON lines, as far as its beginning tells."""
    check_head(head, path)
    start, name = head.removeprefix(codecs.BOM_UTF8).lstrip(), quote(path.name)
    if start.startswith(b"["):
        raise Error(f"{path} is a JSON array. Write one object a line: jq -c '.[]' {name}")
    if start.startswith(b"{") and not start.partition(b"\n")[0].strip(b"{ \t\r"):
        raise Error(f"{path} has objects of several lines. Write each in one: jq -c . {name}")
    if start.startswith(b"<"):
        raise Error(f"{path} is a page (HTML or XML), as a failed download leaves one. Fetch it again.")
    if b"\n" not in head and b"}\r{" in head:
        raise Error(f"{path} ends its lines with CR alone. Convert it: tr '\\r' '\\n' < {name}")


def _record(line: bytes, where: str, form: str = _FORM) -> tuple[str, dict[str, Any]]:
    """Return a line as text, and its object."""
    try:
        text = line.decode("utf-8")
        record: Any = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise Error(f"{where} is not UTF-8 (byte {error.start}). Convert the file to UTF-8.") from error
    except json.JSONDecodeError as error:
        why = f"{error.msg.removesuffix(' at')}, at character {error.pos + 1}"
        raise Error(f"{where} is not JSON ({why}). {form}") from error
    except RecursionError as error:
        raise Error(f"{where} is nested too deeply. {form}") from error
    if not isinstance(record, dict):
        raise Error(f"{where} is not a JSON object. {form}")
    return text, record


def _line_talk(line: bytes, where: str) -> str:
    return talk_of(_record(line, where, TALK)[1], where, lambda value, key: checked_text(value, where, key))


def _line_text(line: bytes, where: str, text_field: str) -> str:
    text, record = _record(line, where)
    if text_field not in record:
        raise Error(f"{where} has no field {text_field!r} (fields: {_listed(record)}). {_CHOOSE}")
    if text.count(f'"{text_field}"') > 1 and sum(key == text_field for key, _ in _PAIRS.decode(text)) > 1:
        raise Error(f"{where} has the field {text_field!r} twice. Keep one.")
    return checked_text(record[text_field], where, text_field)


def _listed(names: Iterable[str]) -> str:
    """Return names in one line that is not long."""
    return excerpt(", ".join(sorted(names)), 160) or "none"


def parquet(path: Path, text_field: str) -> Iterator[tuple[str, int]]:
    """Yield the texts of a .parquet, each with its row.

    Raises:
        Error: another kind of file, no such column, or a value that is no text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        table = pq.ParquetFile(path)
        if text_field not in table.schema_arrow.names:
            found = _listed(table.schema_arrow.names)
            raise Error(f"{path} has no column {text_field!r} (columns: {found}). {_CHOOSE}")
        for batch in table.iter_batches(columns=[text_field], batch_size=1024):
            for value in batch.column(0):
                row += 1
                yield checked_text(value.as_py(), f"{path}, row {row}", text_field), row
    except PermissionError:
        raise
    except (pa.ArrowException, OSError) as error:
        why = excerpt(str(error), 200)
        raise Error(f"{path} is not a readable Parquet file ({why}). Write it again.") from error
    except UnicodeDecodeError as error:
        raise Error(f"{path}, row {row}: the column {text_field!r} is not UTF-8. Write it again as text.") from error


def checked_text(value: object, where: str, text_field: str) -> str:
    """Return ``value`` if it is a string that UTF-8 can hold.

    Raises:
        Error: another type, or a lone surrogate; ``where`` names the place.
    """
    if not isinstance(value, str):
        found = _TYPES.get(type(value).__name__, type(value).__name__)
        raise Error(f"{where}: the field {text_field!r} is {found}, not text. Give it a string.")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Error(f"{where}: a lone surrogate at character {error.start} is not text. Remove it.") from error
    return value
