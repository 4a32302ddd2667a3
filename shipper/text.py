"""Numbers and times as people read them."""


def grouped(number: int) -> str:
    """A number for people: 12 041."""
    return f"{number:,}".replace(",", " ")


def span(seconds: float) -> str:
    """A time for people: 4 s, 12 min, 3 h, 2 d."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
