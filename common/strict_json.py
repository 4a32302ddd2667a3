"""JSON that somebody else wrote: a failing card, a captive portal, an editor."""

import json
import math
from typing import Any


def read_json(data: bytes | str) -> Any:
    """What the text says.

    Raises:
        ValueError: it is not JSON, says NaN or infinity, which JSON has not, or is nested so
            deeply that the decoder gives up.
    """
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond all bounds")
    return number
