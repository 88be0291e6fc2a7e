"""What the tests of hostile files share: valid files of every format, and ways to damage them."""

from __future__ import annotations

import gzip
from random import Random

BIF = """\
network "a net" { property author = "x { y"; }
// comment
variable a { type discrete [ 2 ] { yes, no }; property position = (1, 2); }
variable "b c" { type discrete [ 3 ] { "very on", on, off }; }
variable d { type discrete [ 1 ] { only }; }
variable e {
  type discrete [ 2 ] { x, y };
}
probability ( a ) { table 0.2, 0.8; }
/* two
   lines */
probability ( "b c" | a, d ) { (no, only) 1e-1, .6, 0.3; default 0.5, 0.25, 0.25; }
probability ( d ) { table 1; }
probability ( e | a ) { table 0.125, 0.5, 0.875, 0.5; }
"""
REGULAR_BIF = """\
network unknown {
}
variable a {
  type discrete [ 2 ] { yes, no };
}
variable b {
  type discrete [ 3 ] { low, medium, high };
}
variable c {
  type discrete [ 2 ] { on, off };
}
probability ( a ) {
  table 0.2, 0.8;
}
probability ( b ) {
  table 0.25, 0.25, 0.5;
}
probability ( c | a, b ) {
  (yes, low) 0.9, 0.1;
  (no, low) 0.4, 0.6;
  (yes, medium) 0.5, 0.5;
  (no, medium) 1.0, 0.0;
  (yes, high) 0.3333333, 0.6666667;
  (no, high) 1e-3, 0.999;
}
"""
XMLBIF = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE BIF [ <!ELEMENT BIF ( NETWORK )*> <!ATTLIST BIF VERSION CDATA #REQUIRED> ]>
<BIF VERSION="0.3"><NETWORK><NAME>a &amp; b</NAME><PROPERTY>x</PROPERTY>
<VARIABLE TYPE="nature"><NAME>a</NAME><OUTCOME>yes</OUTCOME><OUTCOME>no</OUTCOME></VARIABLE>
<VARIABLE TYPE="nature"><NAME>b &#233;</NAME>
<OUTCOME>very on</OUTCOME><OUTCOME>on</OUTCOME><OUTCOME>off</OUTCOME></VARIABLE>
<DEFINITION><FOR>a</FOR><TABLE>0.2 0.8</TABLE></DEFINITION>
<DEFINITION><FOR>b &#233;</FOR><GIVEN>a</GIVEN><TABLE>0.9 0.1 0 <!-- yes --> 1e-1 .6 0.3</TABLE></DEFINITION>
</NETWORK></BIF>
"""
NET = """\
% comment with an odd "
net { node_size = (80 40); name = "a \\"net\\""; }
node a { label = "x; }"; states = ("yes" "no"); }
discrete node b { states = ("very on" "on" "off"); position = (1 2); }
node c { states = ("0" "1"); }
potential (a) { data = (0.2 0.8); }
potential (b | a c) { data = (((0.9 0.1 0)   % yes, 0
  (0.7 0.2 0.1)) ((0.1 0.6 0.3) (0 0 1))); }
potential (c | a) { }
"""
HUGIN_CLASS = """\
class weather { inputs = (); outputs = (a); node a { states = (x y z); }
potential (a) { data = (0.5 0.25 0.25); } }
"""
XDSL = """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<smile version="1.0" id="n" numsamples="1000"><nodes>
<cpt id="a"><state id="yes" /><state id="no" /><probabilities>0.2 0.8</probabilities></cpt>
<cpt id="b"><state id="on"/><state id="off"/><parents>a</parents><probabilities>0.9 0.1 0.4 0.6</probabilities></cpt>
<deterministic id="c"><state id="x"/><state id="y"/><parents>a</parents>
<resultingstates>x y</resultingstates></deterministic>
</nodes><extensions><genie version="1.0"><node id="a"><name>A &lt; b</name></node></genie></extensions></smile>
"""
BAYES = """\
BAYES
3
2 2 3
3
1 0
2 0 1
3 0 1 2

2
0.2 0.8
4
0.01 0.99
0.4 0.6
12
.9 .1 0 .7 .2 .1 .1 .6 .3 0 0 1
"""
MARKOV = (
    "MARKOV\n3\n2 3 1\n4\n2 1 0\n1 0\n0\n3 0 1 2\n\n6\n 1 2 3\n 4 5 6\n\n2\n .5 7\n\n1\n 4\n\n6\n1e-3 0 0 1.5E2 3 1\n"
)

VALID = {
    "bif": (BIF, REGULAR_BIF),
    "xmlbif": (XMLBIF,),
    "net": (NET, HUGIN_CLASS),
    "xdsl": (XDSL,),
    "uai": (BAYES, MARKOV),
}
EVIDENCE = ("2 1 2 0 1\n", "2\n1 1 2\n2 0 1 2 0\n", "1\n0\n", "0\n", "")

NUMBERS = (
    *("0", "-0", "1", "-1", "2", "64", "65", "0.3333333", "1e400", "-1e400", "1e-400", "1e308", "nan", "inf", "-inf"),
    *("1000000000000", "9" * 17, "9" * 30, "1_0", "٣", "0x1", "1e", ".", "1.5", "32769", "70000", "+1", "1,5"),
)
PIECES = (
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ";",
        ",",
        "|",
        '"',
        "'",
        "=",
        "%",
        "//",
        "/*",
        "*/",
        "#",
        "\\",
        "<",
        ">",
        "&",
        "</",
    ),
    *("<!--", "]]>", "<![CDATA[", "&amp;", "&x;", "&#0;", "<!DOCTYPE x [<!ENTITY x 'y'>]>", "<?xml version='1.0'?>"),
    *(" ", "\n", "\r", "\r\n", "\t", "\x00", "\x1c", "\x85", "\u2028", "\ufeff", "é", "\U0001f600", "a", "b", "yes"),
    *("network", "variable", "probability", "table", "default", "property", "type", "discrete", "net", "node", "class"),
    *(
        "potential",
        "data",
        "states",
        "utility",
        "BAYES",
        "MARKOV",
        "<cpt id='z'/>",
        "<state id=''/>",
        "<GIVEN>a</GIVEN>",
    ),
)
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "latin-1", "cp037", "utf-8-sig")


def mutated(random: Random, content: bytes, others: tuple[bytes, ...] = ()) -> bytes:
    """The content after one to four random damages: cut, doubled, swapped, spliced, other numbers, other encodings."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        content = random.choice(_DAMAGES)(random, content, others)
    return content


def packed(random: Random, content: bytes) -> bytes:
    """The content as a gzip archive, which is itself damaged half of the time."""
    archive = gzip.compress(content, mtime=0)
    return random.choice(_BYTEWISE)(random, archive, ()) if random.random() < 0.5 else archive


def _span(random: Random, content: bytes) -> tuple[int, int]:
    start = random.randint(0, len(content))
    return start, min(len(content), start + random.choice((0, 1, 1, 2, 5, 20, 100)))


def _truncate(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    return content[: random.randint(0, len(content))]


def _flip(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 10))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _delete(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    start, end = _span(random, content)
    return content[:start] + content[end:]


def _double(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    start, end = _span(random, content)
    return content[:start] + content[start:end] * random.choice((2, 2, 3, 70, 2000)) + content[end:]


def _swap(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    a, b, c, d = sorted(random.randint(0, len(content)) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _insert(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    start, end = _span(random, content)
    if random.random() < 0.5:
        end = start
    piece = random.choice((*PIECES, *NUMBERS)).encode() * random.choice((1, 1, 1, 2, 150, 5000))
    return content[:start] + piece + content[end:]


def _noise(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    start, end = _span(random, content)
    return content[:start] + random.randbytes(random.randint(1, 8)) + content[end:]


def _number(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    words = content.split(b" ")
    at = [i for i, word in enumerate(words) if any(48 <= byte < 58 for byte in word)]
    if at:
        words[random.choice(at)] = random.choice(NUMBERS).encode()
    return b" ".join(words)


def _swap_words(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    words = content.split(b" ")
    i, k = random.randrange(len(words)), random.randrange(len(words))
    words[i], words[k] = words[k], words[i]
    return b" ".join(words)


def _splice(random: Random, content: bytes, others: tuple[bytes, ...]) -> bytes:
    other = random.choice(others) if others else content
    return content[: random.randint(0, len(content))] + other[random.randint(0, len(other)) :]


def _shuffle_lines(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    lines = content.splitlines(keepends=True)
    if random.random() < 0.5 and lines:
        lines.insert(random.randrange(len(lines)), random.choice(lines))
    else:
        random.shuffle(lines)
    return b"".join(lines)


def _line_ends(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    return content.replace(b"\n", random.choice((b"\r\n", b"\r", b"", b"\n\n", b"\x00")))


def _encode(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    return content.decode("utf-8", "replace").encode(random.choice(ENCODINGS), "replace")


def _declare(random: Random, content: bytes, _: tuple[bytes, ...]) -> bytes:
    names = ("utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "utf-7", "unicode_escape", "idna", "rot13", "x")
    declared = f"encoding='{random.choice(names)}'".encode()
    return content.replace(b'encoding="UTF-8"', declared).replace(b'encoding="ISO-8859-1"', declared)


_BYTEWISE = (_truncate, _flip, _delete, _double, _noise)
_DAMAGES = (
    *(*_BYTEWISE, _swap, _insert, _insert, _number, _number, _number, _swap_words, _splice, _shuffle_lines),
    *(_line_ends, _encode, _declare),
)
