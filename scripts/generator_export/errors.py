"""The one exception that the exporter's command shows as a line of its own."""

from __future__ import annotations


class ExportError(Exception):
    """The source cannot be exported; the message says what is wrong with it, in one line."""
