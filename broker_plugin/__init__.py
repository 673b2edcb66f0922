"""Tell ordinary variable stars from new kinds of variability, live, in an alert stream."""

__version__ = "0.1.0"
