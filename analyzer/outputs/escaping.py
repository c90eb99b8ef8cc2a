"""Text from a capture is hostile: how it is escaped for the place where it is shown.

JSON and Parquet keep the exact text. A terminal or a spreadsheet gets what cannot act on it.
"""

import json
import re

# What acts on a terminal or reorders what it shows: C0, DEL, C1 (ECMA-48), line separators, bidirectional controls
# (Unicode UAX 9), and lone surrogates, which no encoding can write.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# The first character that makes a spreadsheet read a cell as a formula, full-width forms included.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def _backslashed(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def visible(text: str) -> str:
    """The text in one line with every control character as \\xNN (or \\uNNNN): safe to print."""
    return _UNSAFE.sub(_backslashed, text)


def spreadsheet(text: str) -> str:
    """The text as a CSV field (RFC 4180): visible, never read as a formula, quoted where it must be.

    An empty text is `""`, so that it differs from a missing value.
    """
    shown = text if text.isascii() and text.isprintable() else visible(text)  # most are, and searching takes longer
    if text.startswith(_FORMULA) and len(text) > 1:
        shown = "'" + shown
    if not shown or '"' in shown or "," in shown:
        shown = '"' + shown.replace('"', '""') + '"'
    return shown


def json_string(text: str) -> str:
    """The exact text as a JSON string (RFC 8259 7) that is also safe to print."""
    return _UNSAFE.sub(_json_escape, json.dumps(text, ensure_ascii=False))
