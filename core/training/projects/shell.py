"""Put references to shell variables into a command in bash, so that the shell never parses what they hold.

A reference is quoted as its place asks: ``"${x}"`` between words, ``${x}`` inside double quotes, ``'"${x}"'`` inside
single quotes. Whatever this reading of quotes gets wrong, it can only split a value into words or print the reference
itself: bash does not parse what a variable expands to. The few words that make a shell do so all the same (``eval``,
``(( ))``, another shell) are told by `reads_values_as_code`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from core.errors import BadInputError
from core.training.projects.template import Part

# Builtins that evaluate their arguments, arithmetic, and tests that evaluate subscripts.
_READS_CODE: Final = re.compile(r"\(\(|\$\[|\[\[|(?:\[|\btest|\bprintf)\s+(?:!\s+)?-v\s")
_EVALUATING: Final = frozenset({"declare", "eval", "let", "ssh", "su", "trap", "typeset", "unset"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ksh", "zsh", "ash"})
_BETWEEN_WORDS: Final = re.compile(r"""[\s;&|(){}"'`]+""")
_TAKES_ANOTHER: Final = frozenset({"-o", "+o", "-O", "+O"})


class _In(Enum):
    PLAIN = auto()
    SINGLE = auto()
    ANSI = auto()
    DOUBLE = auto()
    ARITHMETIC = auto()
    BRACES = auto()
    BRACES_IN_DOUBLE = auto()
    BACKTICKS = auto()
    COMMENT = auto()


_VARIABLE: Final = "@"
_REFERENCE: Final = {
    _In.PLAIN: '"${@}"',
    _In.SINGLE: "'\"${@}\"'",
    _In.ANSI: "'\"${@}\"$'",
    _In.DOUBLE: "${@}",
    _In.ARITHMETIC: "${@}",
    _In.BRACES: '"${@}"',
    _In.BRACES_IN_DOUBLE: "${@}",
    _In.COMMENT: "",
}
_NAMES: Final = {
    _In.SINGLE: "a single quote",
    _In.ANSI: "a single quote",
    _In.DOUBLE: "a double quote",
    _In.BACKTICKS: "a backtick",
    _In.BRACES: "a brace",
    _In.BRACES_IN_DOUBLE: "a brace",
    _In.ARITHMETIC: "a parenthesis",
    _In.PLAIN: "a parenthesis",
}
_OPENERS: Final = (
    ("$((", _In.ARITHMETIC),
    ("$(", _In.PLAIN),
    ("${", _In.BRACES),
    ("$'", _In.ANSI),
    ('$"', _In.DOUBLE),
    ("((", _In.ARITHMETIC),
    ("(", _In.PLAIN),
    ("'", _In.SINGLE),
    ('"', _In.DOUBLE),
    ("`", _In.BACKTICKS),
)
_CLOSERS: Final = {
    _In.PLAIN: ")",
    _In.SINGLE: "'",
    _In.ANSI: "'",
    _In.DOUBLE: '"',
    _In.ARITHMETIC: "))",
    _In.BRACES: "}",
    _In.BRACES_IN_DOUBLE: "}",
    _In.BACKTICKS: "`",
    _In.COMMENT: "\n",
}
_OPEN_IN: Final = {
    _In.PLAIN: frozenset(opener for opener, _ in _OPENERS),
    _In.BRACES: frozenset({"$((", "$(", "${", "$'", '$"', "'", '"', "`"}),
    _In.DOUBLE: frozenset({"$((", "$(", "${", "`"}),
    _In.BRACES_IN_DOUBLE: frozenset({"$((", "$(", "${", "`", '"'}),
    _In.ARITHMETIC: frozenset({"$((", "$(", "${", "(", "`", '"', "'"}),
}


def reads_values_as_code(command: str) -> bool:
    """Say whether a command has words that make a shell parse the values they are given."""
    if _READS_CODE.search(command):
        return True
    words = _BETWEEN_WORDS.split(command)
    for at, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name in _EVALUATING or (name in _SHELLS and _takes_a_command(words, at + 1)):
            return True
    return False


def _takes_a_command(words: list[str], at: int) -> bool:
    while at < len(words) and words[at][:1] in ("-", "+"):
        if words[at][0] == "-" and words[at][1:2] != "-" and "c" in words[at]:
            return True
        at += 2 if words[at] in _TAKES_ANOTHER else 1
    return False


def with_references(parts: tuple[Part, ...], variables: Mapping[str, str]) -> str:
    """Return a command in bash with a reference in the place of each placeholder.

    Parameters
    ----------
    parts : tuple of str or Placeholder
    variables : mapping of str to str
        From a placeholder's name to that of the shell variable that holds its value.

    Raises
    ------
    BadInputError
        Where a placeholder stands where bash would not expand it whole, or a quote does not close. The sentence begins
        small, so that the caller says whose command it is.
    """
    quotes, pieces = _Quotes(), []
    for part in parts:
        if isinstance(part, str):
            quotes.read(part)
            pieces.append(part)
        else:
            pieces.append(quotes.reference(part.name).replace(_VARIABLE, variables[part.name]))
    quotes.finish()
    return "".join(pieces)


class _Quotes:
    """Which quotes are open where a command was read to."""

    def __init__(self) -> None:
        self._open = [_In.PLAIN]
        self._before = ""
        self._escaped = False
        self._heredoc = False

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            step = self._step(text, at)
            self._before, at = text[at + step - 1 : at + step], at + step

    def _step(self, text: str, at: int) -> int:
        """Read what stands at a place, and return how many characters it takes."""
        state = self._open[-1]
        if self._escaped:
            self._escaped = False
            return 1
        if text[at] == "\\" and state not in (_In.SINGLE, _In.COMMENT):
            self._escaped = True
            return 1
        closer = _CLOSERS[state]
        if text.startswith(closer, at) and len(self._open) > 1:
            self._open.pop()
            return len(closer)
        if state is _In.PLAIN and text[at] == "#" and (not self._before or self._before in " \t\n;&|()"):
            self._open.append(_In.COMMENT)
            return 1
        if state is _In.PLAIN and text.startswith("<<", at):
            here_string = text.startswith("<<<", at)
            self._heredoc = self._heredoc or not here_string
            return 3 if here_string else 2
        return self._opened(text, at, state)

    def _opened(self, text: str, at: int, state: _In) -> int:
        for opener, opens in _OPENERS:
            if text.startswith(opener, at) and opener in _OPEN_IN.get(state, ()):
                in_double = state in (_In.DOUBLE, _In.BRACES_IN_DOUBLE, _In.ARITHMETIC)
                self._open.append(_In.BRACES_IN_DOUBLE if opens is _In.BRACES and in_double else opens)
                return len(opener)
        return 1

    def reference(self, name: str) -> str:
        state = self._open[-1]
        if self._heredoc:
            self._refuse(name, "stands in a command with a here-document", "a here-string (<<<)")
        if _In.BACKTICKS in self._open:
            self._refuse(name, "stands between backticks", "$( and )")
        if self._escaped:
            self._refuse(name, "has a backslash right before it", "the placeholder alone")
        if self._before == "$" and state in (_In.PLAIN, _In.DOUBLE, _In.BRACES, _In.BRACES_IN_DOUBLE):
            self._refuse(
                name, "has a $ right before it", "the placeholder alone, and ${{VARIABLE}} for a variable"
            )
        self._before = "}"
        return _REFERENCE[state]

    def finish(self) -> None:
        if self._open[-1] is _In.COMMENT:
            self._open.pop()
        if len(self._open) > 1:
            raise BadInputError(f"{_NAMES[self._open[-1]]} in it is not closed")

    @staticmethod
    def _refuse(name: str, where: str, instead: str) -> None:
        raise BadInputError(
            f"the placeholder {{{name}}} {where}, where bash would not take its value as it is. Write {instead} instead"
        )
