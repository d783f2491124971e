"""What a process receives is exactly the value, and what MLflow's own runner would hand it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mlflow.projects._project_spec import EntryPoint as Theirs

from core.errors import BadInputError
from core.training.projects.command import argument_list
from tests.core.training.projects.kit import entry

PIECES = r"""
$(exit) `exit` ; && | >x ' " \ - -- * ? ~ é 日本 🙂 !! ${HOME} $1 {b} } # ( ) [ a 0 %s = <<EOF x;y
"""
HOSTILE = st.lists(st.sampled_from([*PIECES.split(), " ", "\t", "\n", "\x7f"]), max_size=6).map("".join)
SOMETHING = st.one_of(
    HOSTILE, st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
)
# What is printed after each argument, so that arguments are told apart.
PRINT = "printf '%s\\0'"


def printed(arguments: tuple[str, ...]) -> list[str]:
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done.stdout.decode().split("\0")[:-1]


def by_mlflow(command: str, names: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    theirs = Theirs("main", dict.fromkeys(names, "string"), command)
    return ("bash", "-c", theirs.compute_command(dict(values), None))


# Template, and what its process receives of a and b.
WORDS_ALONE = [
    (PRINT + " {a} {b}", "{a}|{b}"),
    (PRINT + " --a={a} pre{b}post", "--a={a}|pre{b}post"),
    (PRINT + " {a}{b} {{x}}", "{a}{b}|{{x}}"),
    ("X={a}; Y={b}; " + PRINT + ' "$X" "$Y"', "{a}|{b}"),
    ("export X={a}\n" + PRINT + ' "$X" {b}\n', "{a}|{b}"),
    ("f() {{ " + PRINT + ' {a} "$1"; }}; f {b}', "{a}|{b}"),
    ("set -- x y; shift; " + PRINT + ' {a} "$1" {b} $#', "{a}|y|{b}|1"),
    (PRINT + ' {a} "$@" $# | cat', "{a}|0"),
    ("for i in {a} {b}; do " + PRINT + ' "$i"; done', "{a}|{b}"),
    ("case {a} in x) ;; *) " + PRINT + " {a};; esac; " + PRINT + " {b}", "{a}|{b}"),
    ("( " + PRINT + " {a} ); {{ " + PRINT + " {b}; }}", "{a}|{b}"),
    (PRINT + ' "$(' + PRINT + ' {a} | cat -v)" {b} | wc -c > /dev/null; ' + PRINT + " {b}", "{b}"),
    ("exec " + PRINT + " {a}", "{a}"),
    ("X={a} " + PRINT + " {b}", "{b}"),
]
INSIDE_QUOTES_OR_COMMENTS = [
    (PRINT + " {a} # it's {b} \"\n" + PRINT + " {b}", "{a}|{b}"),
    (PRINT + ' \'{a}\' "{b}" "x{a} y"', "{a}|{b}|x{a} y"),
    (PRINT + " a$'\\x41{a}' && true", "aA{a}"),
    ("true && " + PRINT + " {a} 'l {b} r' \"l {a} r\"", "{a}|l {b} r|l {a} r"),
    (PRINT + ' ${{NONE:-{a}}} "${{NONE:-{b}}}"', "{a}|{b}"),
    ('X="{a}"; ' + PRINT + ' "$X" "$(printf %s. \'{b}\')" | cat', "{a}|{b}."),
    (PRINT + " \\\"{a} \\'{b} $# | cat", "\"{a}|'{b}|0"),
]


@pytest.mark.parametrize(("template", "expected"), [*WORDS_ALONE, *INSIDE_QUOTES_OR_COMMENTS])
@settings(max_examples=25, deadline=None)
@given(st.tuples(SOMETHING, SOMETHING))
def test_a_process_receives_exactly_the_value(template: str, expected: str, values: tuple[str, str]) -> None:
    given_values = dict(zip("ab", values, strict=True))
    wanted = [one.format(**given_values) for one in expected.split("|")]
    assert printed(argument_list(entry(template, "a", "b"), given_values)) == wanted


# Where a placeholder stands inside quotes, MLflow puts quotes into the value or lets the shell parse it; in a comment,
# a value with a line break ends the comment.
@pytest.mark.parametrize("template", [one for one, _ in WORDS_ALONE])
@settings(max_examples=15, deadline=None)
@given(st.tuples(HOSTILE, HOSTILE))
def test_a_process_receives_what_mlflow_hands_it(template: str, values: tuple[str, str]) -> None:
    given_values = dict(zip("ab", values, strict=True))
    ours = argument_list(entry(template, "a", "b"), given_values)
    assert outcome(ours) == outcome(by_mlflow(template, ("a", "b"), given_values))


def outcome(arguments: tuple[str, ...]) -> tuple[int, bytes]:
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=30)
    return done.returncode, done.stdout


WORDS = st.lists(
    st.sampled_from(["a", "b c", " ", "'", '"', "\\", "{x}", "\t", "-", "=", "%", ",", "é"]), max_size=12
).map("".join)
SYNTAX = """a| |'|"|{x}|$(printf %s |)|${{N:-|}}|\\|#|\n: |; : |$'|$Q |(|<<<|{{"""
SCRIPTS = st.lists(st.sampled_from(SYNTAX.split("|")), max_size=10).map("".join)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from([PRINT + " ", "true && " + PRINT + " "]), st.one_of(WORDS, SCRIPTS))
def test_quotes_of_any_template_read_as_bash_reads_them(start: str, rest: str) -> None:
    # A plain word, which MLflow puts in as it is.
    values = {"x": "w0rd"}
    try:
        ours = argument_list(entry(start + rest, "x"), values)
    except BadInputError:
        return
    expected = outcome(by_mlflow(start + rest, ("x",), values))
    assume(expected[0] in (0, 1))
    assert outcome(ours) == expected


QUOTES = """a| |'|"|{x}| {x} |'{x}'|"{x}"|"$(printf %s. |)"|"${{N:-|${{N:-|}}|\\|#|\n: |; : |$'|(|)|<<< |{{"""
QUOTED = st.lists(st.sampled_from(QUOTES.split("|")), max_size=10).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([PRINT + " ", "true && " + PRINT + " "]), QUOTED)
def test_a_hostile_value_goes_where_a_plain_word_goes(start: str, rest: str) -> None:
    plain, hostile = "w0rd", "'a  *$(id)\"\\"
    point = entry(start + rest, "x")
    try:
        with_plain, with_hostile = (argument_list(point, {"x": one}) for one in (plain, hostile))
    except BadInputError:
        return
    code, out = outcome(with_plain)
    assume(code == 0)
    expected = out.replace(plain.encode(), hostile.encode())
    # What a substitution without quotes gives is split into words by bash, whatever it came from.
    split = "$(" in rest
    hostile_code, found = outcome(with_hostile)
    assert (hostile_code, _words(found, split)) == (0, _words(expected, split))


def _words(printed: bytes, split: bool) -> bytes:
    return re.sub(rb"[\0 ]+", b"\0", printed) if split else printed


def test_a_command_without_shell_syntax_starts_no_shell() -> None:
    command = "python train.py --lr {lr} 'a b' --name=\"{name}\""
    assert argument_list(entry(command, "lr", "name"), {"lr": "0.1", "name": "x y"}, "/opt/python") == (
        *("/opt/python", "train.py", "--lr", "0.1", "a b", "--name=x y"),
    )


@pytest.mark.parametrize("command", ["python -c 'import sys; print(sys.executable)'", "python3 show.py"])
def test_a_leading_python_is_the_one_given(tmp_path: Path, command: str) -> None:
    (tmp_path / "show.py").write_text("import sys; print(sys.executable)")
    arguments = argument_list(entry(command), {})
    done = subprocess.run(arguments, capture_output=True, check=True, cwd=tmp_path, text=True)
    assert done.stdout.strip() == sys.executable


def test_another_program_whose_name_begins_so_is_not_python() -> None:
    assert argument_list(entry("python-build x"), {}, "/opt/python")[0] == "python-build"
    assert argument_list(entry("python.sh > x"), {}, "/opt/python")[2] == "python.sh > x"


@pytest.mark.parametrize("command", [PRINT + " {a}", PRINT + " {a}\n", "true && " + PRINT + " {a} \n"])
@settings(max_examples=20, deadline=None)
@given(SOMETHING, st.text("abc$;' -", min_size=1, max_size=5), SOMETHING)
def test_what_belongs_to_no_parameter_is_appended_as_mlflow_does(
    command: str, a: str, key: str, value: str
) -> None:
    assume(key != "a")
    values = {"a": a, key: value}
    ours = printed(argument_list(entry(command, "a"), values))
    assert ours == [a, f"--{key}", value]
    if not key.startswith("-") and shlex.quote(key) == key:
        assert ours == printed(by_mlflow(command.rstrip(), ("a",), values))


@pytest.mark.parametrize(
    "command",
    [
        "bash -c 'run {a}'",
        'sh -lc "run {a}"',
        "/bin/bash -o pipefail -ec 'run {a}'",
        "eval run {a}",
        "true; eval run {a}",
        "echo $(( {a} + 1 ))",
        "(( {a} > 1 ))",
        "[[ {a} -eq 1 ]]",
        "[ -v {a} ]",
        "let x={a}",
        "printf -v {a} x",
        "echo $[ {a} ]",
        "ssh host run {a}",
    ],
)
def test_a_shell_that_would_parse_a_value_gets_plain_words_only(tmp_path: Path, command: str) -> None:
    for bad in ("x[$(touch made)]", "$(id)", "a b", "a;b", "'", "x=1"):
        with pytest.raises(BadInputError, match=r"'main' of the project 'demand'.*plain word"):
            argument_list(entry(command, "a"), {"a": bad})
    argument_list(entry(command, "a"), {"a": "-3.5e+7"})


def test_arithmetic_of_numbers_works() -> None:
    command = "printf '%s\\0' $(( {a} * 2 )); [[ {a} -gt 3 ]] && printf '%s\\0' \"$(( {a} + (1) ))\""
    assert printed(argument_list(entry(command, "a"), {"a": "21"})) == ["42", "22"]


@pytest.mark.parametrize(
    "command", ["./run.sh -c {a}", "python train.sh -c {a}", "python let.py {a}", "bash run {a} -c"]
)
def test_what_only_looks_like_a_shell_takes_any_value(command: str) -> None:
    assert "$(id)" in argument_list(entry(command, "a"), {"a": "$(id)"})


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("cat <<EOF\n{a}\nEOF", "here-document"),
        ("echo `run {a}`", "backticks"),
        ("echo ${a} | cat", r"a \$ right before"),
        ('echo "${a}" | cat', r"a \$ right before"),
        ("echo \\{a} | cat", "a backslash right before"),
        ("echo 'x {a} | cat", "single quote in it is not closed"),
        ('echo "x {a} | cat', "double quote in it is not closed"),
        ("echo $(x {a}", "parenthesis in it is not closed"),
        ("echo 'x {a}", "quote in it is not closed"),
        ("run {b}", "no such parameter"),
        ("run {a.b}", "no name of a parameter"),
        ("run {a", "braces"),
        ("   ", "is empty"),
        ("run a\0b", "no argument can hold"),
    ],
)
def test_a_command_that_would_not_hand_a_value_over_is_refused(command: str, said: str) -> None:
    with pytest.raises(BadInputError, match=f"'main' of the project 'demand' cannot be used: .*{said}"):
        argument_list(entry(command, "a"), {"a": "x y"})


def test_a_dollar_in_single_quotes_may_stand_before_a_placeholder() -> None:
    command = "printf 'x y z' | awk '{{printf \"%s\", ${a}}}'"
    assert subprocess.run(argument_list(entry(command, "a"), {"a": "2"}), capture_output=True).stdout == b"y"


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("command", ["run {a}", "run {a} | cat"])
def test_a_value_that_no_process_can_receive_is_refused(command: str, value: str) -> None:
    with pytest.raises(BadInputError, match="no argument can hold"):
        argument_list(entry(command, "a"), {"a": value})


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(BadInputError, match="'a' has no value"):
        argument_list(entry("run {a}", "a"), {})
