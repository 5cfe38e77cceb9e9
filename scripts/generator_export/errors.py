"""The one exception that the exporter's command shows as a single line."""

from __future__ import annotations


class ExportError(Exception):
    """The source cannot be exported; the message says in one line what is wrong with it."""
