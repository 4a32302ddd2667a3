"""The words and tools that both services share; this package knows neither of them."""

__version__ = "0.1.0"
