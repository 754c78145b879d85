"""Values in HTCondor's two languages, ClassAd expressions and submit descriptions, written so that they stay values."""

from collections.abc import Iterable

import classad2


def text(value: str) -> str:
    """A ClassAd string."""
    return str(classad2.quote(value))


def among(attribute: str, values: Iterable[str]) -> str:
    """The ClassAd expression that is true where the attribute has one of the values."""
    return f"member({attribute}, {{{', '.join(map(text, values))}}})"


def check_expression(written: str) -> None:
    """Whether a ClassAd expression that an operator wrote can be read.

    Raises:
        ValueError: it can't.
    """
    try:
        classad2.ExprTree(written)
    except classad2.ClassAdException as error:
        raise ValueError(str(error)) from error


def literal(value: str) -> str:
    """A value in a submit description, where ``$(…)`` would be replaced.

    Raises:
        ValueError: it has a control character; a line is where a value ends.
    """
    if not value.isprintable():
        raise ValueError(f"{value!r} has characters that can't be printed")
    return value.replace("$", "$(DOLLAR)")


def arguments(values: Iterable[str]) -> str:
    """A command line as ``arguments`` takes it: each value in single quotes, all of them in double quotes.

    The values may contain ``$(…)``: see :func:`literal`.
    """
    quoted = (f"'{value.replace(chr(39), chr(39) * 2)}'" for value in values)
    return '"{}"'.format(" ".join(quoted).replace('"', '""'))
