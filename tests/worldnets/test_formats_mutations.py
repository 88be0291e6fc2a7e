"""Damaged files of every format, packed or not: always a valid net or one clear error, and soon."""

from __future__ import annotations

import encodings.aliases
import gzip
import time
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import mutations
from worldnets.errors import FormatError, WorldnetsError
from worldnets.formats import FORMATS, bif, read_evidence, read_net, reading, write_net
from worldnets.formats.reading import Source, numbers_in
from worldnets.net import FactorNet, WorldNet

SECONDS = 2.0  # of processor time; a typical file of these takes a millisecond
SEEDS = st.integers(0, 2**32 - 1)
EVERYTHING = tuple(text.encode() for texts in mutations.VALID.values() for text in texts)
OBSERVED = FactorNet({"0": ("0", "1"), "1": ("0", "1", "2"), "2": ("0", "1")}, ())


def damaged(seed, texts):
    """The bytes of a damaged file and the end of its name."""
    random = Random(seed)
    contents = tuple(text.encode() for text in texts)
    others = contents if random.random() < 0.7 else EVERYTHING
    content = mutations.mutated(random, random.choice(contents), others)
    return (mutations.packed(random, content), ".gz") if random.random() < 0.15 else (content, "")


def answer(path, read):
    """What reading gives, if not one error that names the file and the mend; both within the time."""
    start, found, refusal = time.process_time(), None, None
    try:
        found = read(path)
    except WorldnetsError as error:
        refusal = error
    assert time.process_time() - start < SECONDS
    if refusal is not None:
        assert refusal.mend
        assert refusal.file == str(path)
        assert str(refusal).startswith(str(path))
        assert len(str(refusal)) < 2500
    return found


def check_valid(net, path):
    """The net is sound, and survives being written, if the format can hold its names."""
    if isinstance(net, WorldNet):
        for v in net.variables:
            assert net.cpt(v).shape == (*(len(net.states[p]) for p in net.parents(v)), len(net.states[v]))
            assert (net.cpt(v) >= 0).all()
            assert np.allclose(net.cpt(v).sum(-1), 1)
    else:
        assert all((np.isfinite(table) & (table >= 0)).all() for _, table in net.factors)
    try:
        write_net(net, path)
    except FormatError:
        return
    again = read_net(path)
    assert len(again.factors) == len(net.factors)
    if path.suffix != ".xdsl":  # written parents first: in another order
        pairs = zip(again.factors, net.factors, strict=True)
        assert all(ours.table.tobytes() == theirs.table.tobytes() for ours, theirs in pairs)


@pytest.mark.parametrize("form", mutations.VALID)
def test_the_files_that_are_damaged_below_are_valid_before(tmp_path, form):
    for text in mutations.VALID[form]:
        path = tmp_path / f"x{FORMATS[form].endings[0]}"
        path.write_text(text)
        check_valid(read_net(path), path)


@pytest.mark.parametrize("form", mutations.VALID)
@given(seed=SEEDS)
@settings(max_examples=300)
def test_a_damaged_file_is_a_valid_net_or_one_clear_error_soon(tmp_path_factory, form, seed):
    content, packing = damaged(seed, mutations.VALID[form])
    ending = FORMATS[form].endings[0]
    path = tmp_path_factory.getbasetemp() / f"damaged{ending}{packing}"
    path.write_bytes(content)
    net = answer(path, read_net)
    if net is not None:
        check_valid(net, path.with_name(f"again{ending}"))


@given(seed=SEEDS)
@settings(max_examples=300)
def test_a_damaged_evidence_file_is_evidence_or_one_clear_error_soon(tmp_path_factory, seed):
    content, packing = damaged(seed, mutations.EVIDENCE)
    path = tmp_path_factory.getbasetemp() / f"damaged.evid{packing}"
    path.write_bytes(content)
    frame = answer(path, lambda file: read_evidence(file, OBSERVED))
    if frame is not None:
        for v in frame.columns:
            assert set(frame[v].dropna()) <= set(OBSERVED.states[v])


@given(seed=SEEDS)
@settings(max_examples=400)
def test_the_fast_and_the_careful_way_through_a_bif_agree_on_damaged_files(seed):
    content = mutations.mutated(Random(seed), mutations.REGULAR_BIF.encode())
    source = Source("x.bif", content)
    answers = []
    for read in (bif.read, lambda source: bif._read(source, bif.without_comments(source, source.text()), [])):
        try:
            net = read(source)
            answers.append((dict(net.states), net.parent_sets, [net.cpt(v).tobytes() for v in net.variables]))
        except WorldnetsError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


WORDS = st.one_of(
    st.floats(0, 1).map(repr),
    st.decimals(0, 1, places=30).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["1e400", "nan", "0.5.5", "1_0", "1e", "", "-", "1-1", "0x1", ".", "1,", "٣", "1\x000", "inf"]),
)


@given(words=st.lists(WORDS, max_size=8), blanks=st.lists(st.sampled_from([" ", "\n", "\t ", "\r\n"]), min_size=9))
@settings(max_examples=300)
@example(words=["0.5.5"], blanks=[" "] * 9)
@example(words=["4.35", "0.00001e5", "8.41e-22", "9007199254740993", "1.7976931348623159e308"], blanks=[" "] * 9)
def test_numbers_read_all_at_once_are_those_that_float_gives_one_by_one(words, blanks):
    text = "".join(blank + word for blank, word in zip(blanks, words, strict=False)) + blanks[-1]
    values = numbers_in(text)
    plain = [word for word in text.split() if "_" not in word and word.isascii()]
    try:
        expected = np.array([float(word) for word in plain])
    except ValueError:
        expected = None
    if expected is None or len(plain) != len(text.split()):
        assert values is None
    elif values is not None:  # what is refused here is read again word by word
        np.testing.assert_array_equal(values, expected)
    else:
        assert not plain or any(not word[-1].isdigit() for word in plain)


@pytest.mark.parametrize("name", sorted({*encodings.aliases.aliases.values(), "undefined", "idna", "no-such"}))
def test_an_xml_file_in_any_encoding_that_it_may_declare_is_read_or_refused(tmp_path, name):
    path = tmp_path / "x.xmlbif"
    path.write_bytes(mutations.XMLBIF.replace("UTF-8", name).replace("&#233;", "e").encode("ascii"))
    net = answer(path, read_net)
    assert net is None or net.variables == ("a", "b e")


@pytest.mark.parametrize(("name", "letter"), [("ISO-8859-1", "é"), ("windows-1250", "ř"), ("utf-16", "é")])
def test_xml_in_other_encodings_of_text_is_decoded(tmp_path, name, letter):
    path = tmp_path / "x.xmlbif"
    path.write_bytes(mutations.XMLBIF.replace("UTF-8", name).replace("&#233;", letter).encode(name))
    assert read_net(path).variables == ("a", f"b {letter}")


def test_an_archive_that_says_it_explodes_is_refused_unread_and_one_that_lies_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "UNPACKED_LIMIT", 100_000)
    bomb = gzip.compress(b" " * 5_000_000)
    path = tmp_path / "x.bif.gz"
    for content, found in [(bomb, "5000000 bytes"), (bomb[:-4] + b"\1\0\0\0", "100001 bytes")]:
        path.write_bytes(content)
        with pytest.raises(FormatError, match=f"unpacks to too much; found {found}"):
            read_net(path)
    path.write_bytes(gzip.compress(b" " * 70_000) + gzip.compress(b" " * 70_000))
    with pytest.raises(FormatError, match="unpacks to too much"):
        read_net(path)


def test_an_archive_in_several_pieces_is_one_file(tmp_path):
    path = tmp_path / "x.bif.GZ"
    half = len(mutations.REGULAR_BIF) // 2
    pieces = (mutations.REGULAR_BIF[:half], mutations.REGULAR_BIF[half:])
    path.write_bytes(b"".join(gzip.compress(piece.encode()) for piece in pieces))
    assert read_net(path).variables == ("a", "b", "c")


def test_an_archive_without_its_ending_is_told_apart_from_text(tmp_path):
    path = tmp_path / "x.bif"
    path.write_bytes(gzip.compress(mutations.BIF.encode()))
    with pytest.raises(FormatError, match=r"without the ending \.gz.*add \.gz to its name"):
        read_net(path)


@pytest.mark.parametrize("form", mutations.VALID)
def test_huge_names_make_no_huge_messages(tmp_path, form):
    path = tmp_path / f"x{FORMATS[form].endings[0]}"
    for text in mutations.VALID[form]:
        for word in {"yes", "x", "a", "on", "3"}:
            path.write_text(text.replace(word, word * 200_000, 1))
            net = answer(path, read_net)
            assert net is None or net.variables


def test_memory_that_does_not_suffice_is_a_capacity_error(tmp_path, monkeypatch):
    path = tmp_path / "x.bif"
    path.write_text(mutations.BIF)

    def exhausted(_):
        raise MemoryError

    monkeypatch.setattr(Source, "text", exhausted)
    with pytest.raises(WorldnetsError, match="does not fit into memory") as caught:
        read_net(path)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.file == str(path)


def test_a_thousand_tables_that_share_a_large_parent_cost_no_more_than_their_size(tmp_path):
    states = ", ".join(f"s{i}" for i in range(20_000))
    lines = ["network n { }", f"variable p {{ type discrete [ 20000 ] {{ {states} }}; }}"]
    lines.append(f"probability ( p ) {{ table {'0, ' * 19_999}1; }}")
    for i in range(200):
        lines.append(f"variable v{i} {{ type discrete [ 2 ] {{ x, y }}; }}")
        lines.append(f"probability ( v{i} | p ) {{ default 0.5, 0.5; }}")
    path = tmp_path / "x.bif"
    path.write_text("\n".join(lines))
    net = answer(path, read_net)
    assert net is not None
    assert net.cpt("v199").shape == (20_000, 2)


def test_evidence_is_bounded_by_its_file(tmp_path):
    path = tmp_path / "x.evid"
    path.write_text("200000\n" + "0\n" * 200_000)
    assert isinstance(answer(path, lambda file: read_evidence(file, OBSERVED)), pd.DataFrame)
