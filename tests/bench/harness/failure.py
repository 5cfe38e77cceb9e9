"""The one exception that ends a benchmark with a line instead of a traceback."""


class BenchFailure(Exception):
    """A benchmark cannot go on, or its result would be worthless. The message says why."""
