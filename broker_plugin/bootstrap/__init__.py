"""Archives of photometry -> the photometry of the stream's objects."""

from __future__ import annotations

from broker_plugin.bootstrap.census import Census
from broker_plugin.bootstrap.convert import Converted, Converter
from broker_plugin.bootstrap.formats import FORMATS, ReadOptions, open_format
from broker_plugin.bootstrap.objects import ObjectTable
from broker_plugin.bootstrap.pieces import BadRow, Chunk, Piece

__all__ = [
    "FORMATS",
    "BadRow",
    "Census",
    "Chunk",
    "Converted",
    "Converter",
    "ObjectTable",
    "Piece",
    "ReadOptions",
    "open_format",
]
