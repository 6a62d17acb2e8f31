"""Numbers and names as parts of a sentence."""

_SPELLED_WITH_AN = frozenset("AEFHILMNORSX")
_VOWELS = frozenset("AEIOU")


def plural(quantity: int, noun: str) -> str:
    """Return a number with its noun, in the plural if needed.

    Example:
        >>> plural(1, "unit"), plural(2, "layer")
        ('1 unit', '2 layers')
    """
    return f"{quantity:,} {noun}" if quantity == 1 else f"{quantity:,} {noun}s"


def with_article(name: str) -> str:
    """Return a name with "a" or "an" before it, as it is pronounced.

    Example:
        >>> [with_article(name) for name in ("LSTM", "Linear", "Embedding", "ELU", "GRU", "UniformNoise", "int")]
        ['an LSTM', 'a Linear', 'an Embedding', 'an ELU', 'a GRU', 'a UniformNoise', 'an int']
    """
    capitals = name[: next((place for place, letter in enumerate(name) if not letter.isupper()), len(name))]
    if len(capitals) > 1 and not _VOWELS & set(capitals):  # spelled, as LSTM
        return f"{'an' if name[0] in _SPELLED_WITH_AN else 'a'} {name}"
    spoken_as_you = name.lower().startswith(("uni", "use", "eu"))
    return f"{'an' if name[:1].upper() in _VOWELS and not spoken_as_you else 'a'} {name}"
