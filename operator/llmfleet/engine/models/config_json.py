"""Typed access to the keys of a model's config.json. The ground of everything that `architecture.py` reads.

A config.json is somebody else's file: nothing of it is trusted. Whatever is missing, of the wrong type or absurd
becomes a ValueError whose sentence names the key and says what to do.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

COUNT_LIMIT = 10**6
"""No count or size of a layer of any model comes near it (the largest vocabularies have 262,208 entries)."""
TOKENS_LIMIT = 10**9
"""No model has a context of so many tokens."""
ITEMS_LIMIT = 10_000
"""No list of layers or modules is longer."""
_SHOWN = 60
"""Characters of a wrong value that a sentence shows."""
_BITS_SHOWN = 128
"""Larger numbers are not written out."""
_Item = TypeVar("_Item", str, int)


class Keys:
    """The keys of one section of a config.json, with the defaults of the model's family behind them."""

    def __init__(self, values: Mapping[str, Any], section: str = "", defaults: Mapping[str, Any] | None = None) -> None:
        self._values = values
        self._section = section
        self._defaults = defaults or {}

    def with_defaults(self, defaults: Mapping[str, Any]) -> "Keys":
        """The same section; what it lacks is taken from `defaults`."""
        return Keys(self._values, self._section, {**defaults, **self._defaults})

    def has(self, name: str) -> bool:
        """The key is there and not null."""
        return self._find(name) is not None

    def says(self, name: str) -> bool:
        """The key is there, and it is neither null nor zero nor empty."""
        return self._find(name) not in (None, False, 0, "", [], {})

    def integer(self, *names: str, default: int | None = None, least: int = 1, most: int = COUNT_LIMIT) -> int:
        """The first of the keys that is there; an error if there is none and no default."""
        found = self.maybe_integer(*names, least=least, most=most)
        if found is not None:
            return found
        if default is not None:
            return default
        raise ValueError(
            f"{self._path(names[0])} is missing: give the whole config.json of the model, as it stands at the hub."
        )

    def maybe_integer(self, *names: str, least: int = 1, most: int = COUNT_LIMIT) -> int | None:
        """The first of the keys that is there, or None."""
        for name in names:
            value = self._find(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise self._wrong(name, value, "a whole number")
            if not least <= value <= most:
                raise self._wrong(name, value, f"between {least} and {most}")
            return value
        return None

    def maybe_number(self, name: str, *, least: float, most: float) -> float | None:
        """A number with a fraction, or None."""
        value = self._find(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, value, "a number")
        if not least <= value <= most:
            raise self._wrong(name, value, f"between {least:g} and {most:g}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._find(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def text(self, *names: str) -> str | None:
        """The first of the keys that is there, or None."""
        for name in names:
            value = self._find(name)
            if value is None:
                continue
            if not isinstance(value, str):
                raise self._wrong(name, value, "a string")
            return value
        return None

    def texts(self, *names: str) -> tuple[str, ...] | None:
        """A list of strings, or None."""
        return self._list(names, str, "a list of strings")

    def integers(self, *names: str) -> tuple[int, ...] | None:
        """A list of whole numbers, or None."""
        return self._list(names, int, "a list of whole numbers")

    def section(self, name: str) -> "Keys | None":
        """A section inside this one, or None."""
        value = self._find(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._wrong(name, value, "an object")
        return Keys(value, self._path(name))

    def sections(self) -> "tuple[Keys, ...]":
        """Every section that stands directly in this one."""
        names = [name for name, value in self._values.items() if isinstance(value, Mapping)]
        return tuple(Keys(self._values[name], self._path(str(name))) for name in names)

    def _find(self, name: str) -> Any:
        value = self._values.get(name)
        return self._defaults.get(name) if value is None else value

    def _list(self, names: tuple[str, ...], kind: type[_Item], words: str) -> tuple[_Item, ...] | None:
        for name in names:
            value = self._find(name)
            if value is None:
                continue
            if not isinstance(value, list | tuple) or len(value) > ITEMS_LIMIT:
                raise self._wrong(name, value, words)
            if not all(isinstance(item, kind) for item in value):
                raise self._wrong(name, value, words)
            return tuple(value)
        return None

    def _path(self, name: str) -> str:
        return f"{self._section}.{name}" if self._section else name

    def _wrong(self, name: str, value: object, wanted: str) -> ValueError:
        if isinstance(value, int) and value.bit_length() > _BITS_SHOWN:
            shown = f"a number of {value.bit_length()} bits"
        else:
            shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
        return ValueError(
            f"{self._path(name)} is {shown}, and must be {wanted}: correct it, or take the config.json of the hub."
        )
