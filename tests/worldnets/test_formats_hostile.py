"""Whatever bytes a reader is given, the answer is a valid net or one clear error that says where and how to mend it."""

from __future__ import annotations

import gzip
import math
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldnets.errors import FormatError, NetError, WorldnetsError
from worldnets.formats import FORMATS, read_net, reading
from worldnets.net import FactorNet, WorldNet

BIF = """\
network n {
}
variable a {
  type discrete [ 2 ] { yes, no };
}
variable b {
  type discrete [ 2 ] { on, off };
}
probability ( a ) {
  table 0.2, 0.8;
}
probability ( b | a ) {
  (yes) 0.9, 0.1;
  (no) 0.4, 0.6;
}
"""
XMLBIF = """\
<BIF VERSION="0.3"><NETWORK><NAME>n</NAME>
<VARIABLE TYPE="nature"><NAME>a</NAME><OUTCOME>yes</OUTCOME><OUTCOME>no</OUTCOME></VARIABLE>
<VARIABLE TYPE="nature"><NAME>b</NAME><OUTCOME>on</OUTCOME><OUTCOME>off</OUTCOME></VARIABLE>
<DEFINITION><FOR>a</FOR><TABLE>0.2 0.8</TABLE></DEFINITION>
<DEFINITION><FOR>b</FOR><GIVEN>a</GIVEN><TABLE>0.9 0.1 0.4 0.6</TABLE></DEFINITION>
</NETWORK></BIF>
"""
NET = """\
net { name = "n"; }
node a { states = ("yes" "no"); }
node b { states = ("on" "off"); }
potential (a) { data = (0.2 0.8); }
potential (b | a) { data = ((0.9 0.1) (0.4 0.6)); }
"""
XDSL = """\
<smile version="1.0" id="n"><nodes>
<cpt id="a"><state id="yes"/><state id="no"/><probabilities>0.2 0.8</probabilities></cpt>
<cpt id="b"><state id="on"/><state id="off"/><parents>a</parents><probabilities>0.9 0.1 0.4 0.6</probabilities></cpt>
<deterministic id="c"><state id="x"/><state id="y"/><parents>a</parents>
<resultingstates>x y</resultingstates></deterministic>
</nodes></smile>
"""
UAI = "BAYES\n2\n2 2\n2\n1 0\n2 0 1\n\n2\n0.2 0.8\n4\n0.9 0.1\n0.4 0.6\n"
MARKOV = UAI.replace("BAYES", "MARKOV")
VALID = {"bif": BIF, "xmlbif": XMLBIF, "net": NET, "xdsl": XDSL, "uai": UAI}

# format, text to replace, replacement, kind of error, line, node, words of the message
CASES = [
    ("bif", "( b | a )", "( b | c )", NetError, 12, "b", "a parent is missing from the net; found 'c'"),
    ("bif", "(no)", "(maybe)", NetError, 14, "b", "unknown state of the parent 'a'; found 'maybe'"),
    ("bif", "yes, no", "yes, yes", NetError, 3, "a", "duplicate states; found 'yes'"),
    ("bif", "0.2, 0.8", "0.2, -0.8", NetError, 9, "a", "negative or non-finite probability; found -0.8"),
    ("bif", "0.9, 0.1", "nan, 0.1", NetError, 12, "b", "negative or non-finite"),
    ("bif", "0.4, 0.6", "0.4, 0.7", NetError, 12, "b", "does not sum to 1; found 1.1"),
    ("bif", "0.4, 0.6", "0.4, 0.600002", NetError, 12, "b", "does not sum to 1"),
    ("bif", "0.4, 0.6", "0.4, 0.3, 0.3", NetError, 14, "b", "wrong number of entries; found 3; expected 2"),
    ("bif", "0.4, 0.6", "0.4 x", FormatError, 14, "b", "not a number; found 'x'"),
    ("bif", "0.4, 0.6;", "0.4, 0.6", FormatError, 15, "b", "a ';' is missing before '}'"),
    ("bif", "0.4, 0.6", "0.4, 0_6", FormatError, 14, "b", "not a number; found '0_6'"),
    ("bif", "0.2, 0.8", "0.2, 0.4, 0.4", NetError, 9, "a", "wrong number of entries; found 3; expected 2"),
    ("bif", "0.2, 0.8", "٠.2, 0.8", FormatError, 10, "a", "not a number"),
    ("bif", "  (no) 0.4, 0.6;\n", "", NetError, 12, "b", "a row of the table is missing"),
    ("bif", "  table 0.2, 0.8;\n", "", NetError, 9, "a", "a row of the table is missing"),
    ("bif", "(no) 0.4", "(yes) 0.4", NetError, 14, "b", "a row is given twice"),
    ("bif", "(no) 0.4", "(no, no) 0.4", NetError, 14, "b", "wrong number of parent states; found 2; expected 1"),
    ("bif", "  (no) 0.4, 0.6;", "  default 0.4;", NetError, 14, "b", "wrong number of entries"),
    ("bif", "  (no) 0.4", "  otherwise 0.4", FormatError, 14, "b", "bad syntax in a table; found 'otherwise'"),
    ("bif", "[ 2 ] { on", "[ 3 ] { on", NetError, 7, "b", "another length than declared; found 2; expected 3"),
    ("bif", "[ 2 ] { on", "[ two ] { on", FormatError, 7, "b", "not a whole number; found 'two'"),
    ("bif", "[ 2 ] { on", "[ " + "9" * 5000 + " ] { on", FormatError, 7, "b", "not a whole number"),
    ("bif", "discrete [ 2 ] { on", "continuous [ 2 ] { on", FormatError, 7, "b", "not a discrete variable"),
    ("bif", "variable b", "variable a", NetError, 6, "a", "declared twice"),
    ("bif", "probability ( b | a )", "probability ( a )", NetError, 12, "a", "two tables"),
    ("bif", "probability ( b | a )", "probability ( b, a | a )", FormatError, 12, "b", "several variables at once"),
    ("bif", "probability ( b | a )", "probability ( b | a, a )", NetError, 12, "b", "stands twice"),
    ("bif", "probability ( b | a )", "probability ( z | a )", NetError, 12, "z", "not declared"),
    ("bif", "probability ( b | a )", "probabilty ( b | a )", FormatError, 12, None, "no block starts like this"),
    ("bif", "probability ( a ) {", "probability ( a | b ) {", NetError, 9, "a", "wrong number of entries; found 2"),
    ("bif", "network n {\n}", "network n {\n} /* open", FormatError, 2, None, "a comment is not closed"),
    ("bif", "yes, no", '"yes, no', FormatError, 4, None, "a quotation mark is not closed"),
    ("bif", "(yes) 0.9, 0.1;", "(yes) 0.9, 0.1", NetError, 13, "b", "wrong number of entries.*a ';' may be missing"),
    ("xmlbif", "<GIVEN>a", "<GIVEN>c", NetError, 5, "b", "a parent is missing from the net; found 'c'"),
    ("xmlbif", "0.4 0.6", "0.4 0.5", NetError, 5, "b", "does not sum to 1"),
    ("xmlbif", "0.4 0.6", "0.4", NetError, 5, "b", r"wrong number of entries; found 3; expected 2 × 2 = 4"),
    ("xmlbif", "0.4 0.6", "0.4 six", FormatError, 5, "b", "not a number; found 'six'"),
    ("xmlbif", "<TABLE>0.2 0.8</TABLE>", "", FormatError, 4, "a", "no <table>"),
    ("xmlbif", "<FOR>a</FOR>", "<FOR>a</FOR><FOR>b</FOR>", FormatError, 4, None, "several at once"),
    ("xmlbif", "<OUTCOME>no</OUTCOME>", "<OUTCOME>yes</OUTCOME>", NetError, 2, "a", "duplicate states"),
    ("xmlbif", 'nature"><NAME>b', 'utility"><NAME>b', FormatError, 3, "b", "not a chance variable; found 'utility'"),
    ("xmlbif", "<NAME>b</NAME>", "", FormatError, 3, None, "without a name"),
    ("xmlbif", "</NETWORK></BIF>", "", FormatError, 7, None, "not well-formed XML"),
    ("xmlbif", "<BIF", '<!DOCTYPE B [<!ENTITY x "y">]><BIF', FormatError, 1, None, "XML entity"),
    (
        "xmlbif",
        "<BIF",
        '<!DOCTYPE B [<!ENTITY x SYSTEM "file:///etc/passwd">]><BIF',
        FormatError,
        1,
        None,
        "XML entity",
    ),
    ("xmlbif", "<BIF", '<!DOCTYPE B SYSTEM "http://e.org/b.dtd"><BIF', None, None, None, ""),
    ("xmlbif", XMLBIF, XDSL, FormatError, None, None, "no XMLBIF; found <smile>"),
    ("net", "b | a", "b | c", NetError, 5, "b", "a parent is missing from the net; found 'c'"),
    ("net", "(0.4 0.6)", "(0.4 0.7)", NetError, 5, "b", "does not sum to 1"),
    ("net", "(0.4 0.6)", "(0.4)", NetError, 5, "b", "wrong number of entries"),
    ("net", "(0.9 0.1) (0.4 0.6)", "(0.9 0.1 0.4) (0.6)", FormatError, 5, "b", "brackets of the data do not fit"),
    ("net", "(0.4 0.6)", "(0.4 0.6", FormatError, 5, "b", "brackets of the data do not match"),
    ("net", "(0.4 0.6)", "(0.4 zero)", FormatError, 5, "b", "not a number; found 'zero'"),
    ("net", "node b", "utility b", FormatError, 3, "b", "kind 'utility' is not supported"),
    ("net", "node b", "continuous node b", FormatError, 3, "b", "kind 'continuous' is not supported"),
    ("net", 'states = ("on" "off");', "", FormatError, 3, "b", "a node without states"),
    ("net", '"off"', "=", FormatError, 3, "b", "a state is no text; found '='"),
    ("net", '"off"', '"off', FormatError, None, None, "a text is not closed"),
    ("net", "data = (0.2 0.8)", "model_data = (Normal (0, 1))", FormatError, 4, "a", "expressions are not supported"),
    ("net", "potential (a) {", "potential (a b) {", FormatError, 4, "a", "several nodes at once"),
    ("xdsl", "<parents>a", "<parents>z", NetError, 3, "b", "a parent is missing from the net; found 'z'"),
    ("xdsl", "0.4 0.6", "0.4 0.7", NetError, 3, "b", "does not sum to 1"),
    ("xdsl", '<cpt id="b">', '<noisymax id="b"/><cpt id="b">', FormatError, 3, "b", "<noisymax> is not supported"),
    ("xdsl", ">x y<", ">x z<", NetError, 4, "c", "unknown resulting state; found 'z'"),
    ("xdsl", ">x y<", ">x<", NetError, 4, "c", "wrong number of resulting states; found 1; expected 2"),
    ("xdsl", "</smile>", "<dynamic/></smile>", FormatError, None, None, "dynamic"),
    ("xdsl", '<cpt id="b">', "<cpt>", FormatError, 3, "", "without a name"),
    ("uai", "0.4 0.6", "0.4 0.7", NetError, 6, "1", "does not sum to 1"),
    ("uai", "0.4 0.6", "0.4", FormatError, 12, "1", "the file ends inside a table; found 3; expected 4"),
    ("uai", "2 0 1", "2 0 7", NetError, 6, None, "unknown variable; found 7"),
    ("uai", "2 0 1", "2 0 0", NetError, 6, "0", "two tables"),
    ("uai", "\n4\n", "\n3\n", NetError, 10, "1", "wrong number of entries; found 3; expected 4"),
    ("uai", "BAYES", "LIMID", FormatError, 1, None, "no UAI model starts like this"),
    ("uai", "2 2\n2\n", "2 2\n999999999\n", FormatError, 4, None, "too large"),
    ("uai", "BAYES\n2", "BAYES\n999999999999", FormatError, 2, None, "too large"),
    ("uai", "2 2", "2 99999999999999", FormatError, 3, None, "too many states"),
    ("uai", "0.4 0.6", "0.4 0.6 0.1", FormatError, 12, None, "text after the last table; found '0.1'"),
    ("uai", "1 0\n", "1 0   # a\n", None, None, None, ""),
]


def read(tmp_path, form, content):
    path = tmp_path / f"x{FORMATS[form].endings[0]}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_net(path)


def refusal(tmp_path, form, content):
    try:
        read(tmp_path, form, content)
    except WorldnetsError as error:
        return error
    return None


@pytest.mark.parametrize("form", VALID)
def test_the_files_that_are_broken_below_are_valid_before(tmp_path, form):
    net = read(tmp_path, form, VALID[form])
    np.testing.assert_array_equal(net.cpts[net.variables[1]], [[0.9, 0.1], [0.4, 0.6]])


@pytest.mark.parametrize(
    ("form", "old", "new", "kind", "line", "node", "words"), CASES, ids=[f"{c[0]}-{c[6][:40]}" for c in CASES]
)
def test_a_mistake_is_named_with_file_line_node_and_mend(tmp_path, form, old, new, kind, line, node, words):
    text = VALID[form]
    assert old in text
    broken = text.replace(old, new, 1)
    if kind is None:
        assert read(tmp_path, form, broken).variables
        return
    with pytest.raises(kind, match=words) as caught:
        read(tmp_path, form, broken)
    error = caught.value
    assert error.file.endswith(FORMATS[form].endings[0])
    assert error.mend
    if line is not None:
        assert error.line == line
    if node is not None:
        assert error.node == node
    assert len(str(error)) < 1000


def test_a_bad_row_is_named_by_its_parents_states(tmp_path):
    for old, new, row in [
        ("0.4, 0.6", "0.4, 0.7", "(a=no)"),
        ("0.4, 0.6", "-0.4, 1.4", "(a=no)"),
        ("0.4, 0.6", "0.4, 0.6, 0", "(a=no)"),
        ("  (no) 0.4, 0.6;\n", "", "(a=no)"),
        ("(no)", "(nope)", "(nope)"),
    ]:
        with pytest.raises(NetError) as caught:
            read(tmp_path, "bif", BIF.replace(old, new))
        assert caught.value.row == row


def test_a_cycle_is_named_with_its_file(tmp_path):
    with pytest.raises(NetError, match="cycle; found") as caught:
        read(tmp_path, "bif", BIF.replace("( a ) {\n  table 0.2, 0.8;", "( a | b ) {\n  default 0.2, 0.8;"))
    assert caught.value.file.endswith("x.bif")
    assert caught.value.line in (9, 12)


@pytest.mark.parametrize("form", VALID)
@pytest.mark.parametrize("content", [b"", b" \n\t", b"\xef\xbb\xbf", b"\xff\xfe\x00", b"\x00" * 50, b"\x80abc"])
def test_an_empty_file_and_bytes_that_are_no_text_are_format_errors(tmp_path, form, content):
    with pytest.raises(FormatError) as caught:
        read(tmp_path, form, content)
    assert caught.value.mend
    assert "x." in caught.value.file


def test_bytes_that_are_not_utf8_are_named_by_line_and_offset(tmp_path):
    with pytest.raises(FormatError, match=r"not UTF-8; found byte 0xff at offset 22") as caught:
        read(tmp_path, "bif", b"network n {\n}\nvariable\xff a")
    assert caught.value.line == 3


@pytest.mark.parametrize("form", VALID)
def test_every_truncation_is_an_error_or_a_valid_net(tmp_path, form):
    text = VALID[form].rstrip()
    survivors = 0
    for end in range(len(text)):
        error = refusal(tmp_path, form, text[:end])
        survivors += error is None
        assert error is None or error.mend
        assert error is None or str(error.file).endswith(FORMATS[form].endings[0])
    # "0.6" cut to "0." no longer sums to 1, so next to nothing survives.
    assert survivors <= 1


def test_a_file_that_is_not_there_or_not_a_file_is_a_format_error(tmp_path):
    for path, words in [
        (tmp_path / "none.bif", "no such file"),
        (tmp_path, "the ending names no format"),
        ("nul\0.bif", "Mend"),
    ]:
        with pytest.raises(FormatError, match=words):
            read_net(path)
    with pytest.raises(FormatError, match="a folder"):
        read_net(tmp_path, format="bif")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_format_error(tmp_path):
    path = tmp_path / "x.bif"
    path.write_text(BIF)
    path.chmod(0)
    with pytest.raises(FormatError, match="check path and permissions"):
        read_net(path)


def test_a_broken_archive_is_a_format_error(tmp_path):
    packed = gzip.compress(BIF.encode())
    for content in (b"plain", packed[:-12], packed[:30] + b"\x00" * 10 + packed[40:]):
        (tmp_path / "x.bif.gz").write_bytes(content)
        with pytest.raises(FormatError, match="the gzip archive is broken"):
            read_net(tmp_path / "x.bif.gz")


def test_an_archive_that_explodes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "UNPACKED_LIMIT", 10_000)
    (tmp_path / "x.bif.gz").write_bytes(gzip.compress(b" " * 10_001))
    with pytest.raises(FormatError, match="unpacks to too much"):
        read_net(tmp_path / "x.bif.gz")


def test_sizes_that_the_entries_do_not_back_are_refused_before_anything_is_allocated(tmp_path):
    parents = [f"p{i}" for i in range(60)]
    bif = "".join(f"variable {p} {{ type discrete [ 2 ] {{ a, b }}; }} " for p in [*parents, "c"])
    bif += "".join(f"probability ( {p} ) {{ table 0.5 0.5; }} " for p in parents)
    start = time.process_time()
    for body, words in [
        ("default 0.5 0.5;", "defaults stand for too many table cells"),
        ("table 0.5 0.5;", "wrong number of entries"),
        (f"({', '.join('a' for _ in parents)}) 0.5 0.5;", "a row of the table is missing"),
    ]:
        with pytest.raises(NetError, match=words) as caught:
            read(tmp_path, "bif", bif + f"probability ( c | {', '.join(parents)} ) {{ {body} }}")
        assert caught.value.node == "c"
    net = "".join(f'node {p} {{ states = ("a" "b"); }} potential ({p}) {{ }} ' for p in parents)
    net += f'node c {{ states = ("a" "b"); }} potential (c | {" ".join(parents)}) {{ }}'
    with pytest.raises(NetError, match="too many table cells"):
        read(tmp_path, "net", net)
    with pytest.raises(NetError, match="too many states"):
        read(tmp_path, "uai", "MARKOV 1 999999 0")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("bif", "/*" * 200_000),
        ("bif", '"' * 200_001),
        ("bif", "//" * 200_000),
        ("bif", "network n {" + "(" * 200_000),
        ("bif", "{" * 200_000),
        ("net", '"\\' * 200_000),
        ("net", '"\\"' * 150_000 + "\\"),
        ("net", "%" * 200_000),
        ("net", 'node a { states = ("x"); } potential (a) { data = ' + "(" * 200_000),
        ("net", 'node a { states = ("x"); } potential (a) { data = ' + "(" * 100_000 + "1" + ")" * 100_000 + "; }"),
        ("xmlbif", "<a>" * 200_000),
        ("xmlbif", "<BIF><NETWORK>" + "<VARIABLE/>" * 50_000),
        ("xmlbif", "<BIF " + " ".join(f'a{i}="x"' for i in range(50_000)) + "/>"),
        ("uai", "MARKOV " + "9 " * 200_000),
        ("uai", "9" * 400_000),
    ],
)
def test_nesting_and_repetition_take_time_in_proportion(tmp_path, form, content):
    start = time.process_time()
    assert len(str(refusal(tmp_path, form, content))) < 1000
    assert time.process_time() - start < 3


def test_a_billion_laughs_are_refused_at_the_first(tmp_path):
    laughs = '<!DOCTYPE BIF [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9)
    )
    with pytest.raises(FormatError, match="XML entity") as caught:
        read(tmp_path, "xmlbif", laughs + "]><BIF><NETWORK><NAME>&j;</NAME></NETWORK></BIF>")
    assert caught.value.line == 1


MARKS = {
    "bif": 'network variable probability table default property type discrete [ 2 // /* " |',
    "xmlbif": "<BIF> <NETWORK> <VARIABLE> <NAME> <OUTCOME> <DEFINITION> <TABLE> </BIF> &lt; <!-- ]]>",
    "net": 'net node potential states data = class % " \\ (( )) |',
    "xdsl": "<smile> <nodes> <cpt> <state/> <parents> </cpt> <probabilities> <deterministic/>",
    "uai": "BAYES MARKOV 0 1 2 3 99999999999999999999 -1 1e400 nan",
}
PIECES = [
    "{",
    "}",
    "(",
    ")",
    ";",
    ",",
    "a",
    "b",
    "yes",
    "no",
    "0.5",
    "-1",
    "nan",
    "inf",
    "1e999",
    " ",
    "\n",
    "\x00",
    "é",
]


def is_valid(net):
    assert isinstance(net, WorldNet | FactorNet)
    if isinstance(net, WorldNet):
        for v in net.variables:
            assert net.cpt(v).shape == (*(len(net.states[p]) for p in net.parents(v)), len(net.states[v]))
            assert np.allclose(net.cpt(v).sum(-1), 1)
    else:
        assert all(np.all(np.isfinite(table) & (table >= 0)) for _, table in net.factors)
        assert all(table.size == math.prod(len(net.states[v]) for v in scope) for scope, table in net.factors)


def answers(tmp_path_factory, form, content):
    path = tmp_path_factory.getbasetemp() / f"fuzz{FORMATS[form].endings[0]}"
    path.write_bytes(content)
    error = None
    try:
        is_valid(read_net(path))
    except WorldnetsError as refused:
        error = refused
    if error is not None:
        assert error.mend
        assert error.file == str(path)
        assert str(error).startswith(str(path))


@pytest.mark.parametrize("form", VALID)
@given(content=st.binary(max_size=200))
@settings(max_examples=60)
def test_random_bytes_are_a_valid_net_or_one_clear_error(tmp_path_factory, form, content):
    answers(tmp_path_factory, form, content)


@pytest.mark.parametrize("form", VALID)
@given(data=st.data())
@settings(max_examples=100)
def test_random_syntax_is_a_valid_net_or_one_clear_error(tmp_path_factory, form, data):
    pieces = data.draw(st.lists(st.sampled_from(MARKS[form].split() + PIECES), max_size=40))
    answers(tmp_path_factory, form, data.draw(st.sampled_from(["", " "])).join(pieces).encode())


@pytest.mark.parametrize("form", [*VALID, "markov"])
@given(data=st.data())
@settings(max_examples=150)
def test_a_mutated_file_is_a_valid_net_or_one_clear_error(tmp_path_factory, form, data):
    text, form = (MARKOV, "uai") if form == "markov" else (VALID[form], form)
    content = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.sampled_from([0, 1, 1, 2, 5, 20]))
        piece = data.draw(
            st.one_of(st.sampled_from(MARKS[form].split() + PIECES).map(str.encode), st.binary(max_size=3))
        )
        content[start : start + length] = piece
    answers(tmp_path_factory, form, bytes(content))


def test_what_the_system_refuses_is_said_with_its_reason(tmp_path, monkeypatch):
    path = tmp_path / "x.bif"
    path.write_text(BIF)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("worldnets.formats.reading.read_whole", refuse)
    with pytest.raises(FormatError, match=r"found Permission denied\. Mend: check path"):
        read_net(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.bif")
    with pytest.raises(FormatError, match="no ordinary file"):
        read_net(tmp_path / "x.bif")
