import pytest

from probes.resolve import resolve
from probes.suite import load_suite, read_suite
from probes.suites import suite_names
from worldnets.errors import SuiteError, WorldnetsError

SUITE = """
[suite]
name = "small"
title = 'quotes " and \\ and ümläut 🌍'
primary = ["cue_parity/*"]

[defaults]
seeds = 16
steps = 100

[probes.depth.conclude]
delta = 0.2

[[jobs]]
world = "cue_parity"
parameters = { bits = 3 }
objective = "question"
heads = ["linear", { name = "mlp", options = { width = 16 }, learning_rate = 0.01 }]
inputs = ["evidence", "beliefs"]

[[jobs]]
world = "cue_parity"
label = "cue_parity-4"
parameters = { bits = 4 }
objective = ["question"]
heads = "linear"
steps = 50
seeds = 8
"""


def test_a_suite_written_out_reads_back_equal():
    suite = read_suite(SUITE)
    again = read_suite(suite.to_toml())
    assert again == suite
    assert again.suite.title == 'quotes " and \\ and ümläut 🌍'
    assert "batch = 128" in suite.to_toml()


def test_every_built_in_suite_reads():
    assert "quick" in suite_names()
    for name in suite_names():
        assert load_suite(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", r"my\.toml: unknown key suite\.titel\. Mend: did you mean 'title'"),
        ("steps = 100", "stpes = 100", r"unknown key defaults\.stpes\. Mend: did you mean 'steps'"),
        ('heads = "linear"', 'head = "linear"', r"unknown key jobs\[2\]\.head\. Mend: did you mean 'heads'"),
        (
            "learning_rate",
            "learning-rate",
            r"unknown key jobs\[1\]\.heads\[2\]\.learning-rate\. Mend: did you mean 'learning_rate'",
        ),
        (
            "[probes.depth.conclude]",
            "[probes.depth.conclusion]",
            r"unknown key probes\.depth\.conclusion\. Mend: did you mean 'conclude'",
        ),
        ("[defaults]", "[default]", r"unknown key default\. Mend: did you mean 'defaults'"),
        ("seeds = 16", 'seeds = "16"', r"defaults\.seeds: no number of seeds; found '16'"),
        ("steps = 50", "steps = 0", r"jobs\[2\]\.steps: input should be greater than or equal to 1; found 0"),
        ("steps = 50", "steps = true", r"jobs\[2\]\.steps"),
        ("learning_rate = 0.01", "learning_rate = nan", r"jobs\[1\]\.heads\[2\]\.learning_rate"),
        ("beliefs", "believes", r"jobs\[1\]\.inputs\[2\]: input should be 'evidence' or 'beliefs'"),
        ('name = "small"', "", r"suite\.name is missing"),
        ("seeds = 16", "seeds = 1", r"defaults\.seeds: no number of seeds; found 1. Mend: give 2 or more"),
        ("seeds = 16", "seeds = ", r"my\.toml, line 8: not a TOML file"),
    ],
)
def test_a_wrong_suite_is_refused_with_the_place_and_the_nearest_known_key(old, new, message):
    assert old in SUITE
    with pytest.raises(SuiteError, match=message):
        read_suite(SUITE.replace(old, new, 1), "my.toml")


def test_an_unknown_suite_names_the_nearest_and_a_missing_file_the_path(tmp_path):
    with pytest.raises(SuiteError, match="did you mean 'quick'"):
        load_suite("quik")
    with pytest.raises(SuiteError, match=r"missing\.toml: cannot read the suite file"):
        load_suite(tmp_path / "missing.toml")


def test_a_frozen_suite_cannot_be_changed():
    suite = read_suite(SUITE)
    with pytest.raises(ValueError, match="frozen"):
        suite.defaults.seeds = 100


def test_lists_are_crossed_and_settings_come_from_the_nearest_level():
    conditions = resolve(read_suite(SUITE))
    assert [condition.title for condition in conditions] == [
        "cue_parity/question/linear/evidence",
        "cue_parity/question/linear/beliefs",
        "cue_parity/question/mlp/evidence",
        "cue_parity/question/mlp/beliefs",
        "cue_parity-4/question/linear/evidence",
    ]
    rates = [condition.training["learning_rate"] for condition in conditions]
    assert rates == [0.003, 0.003, 0.01, 0.01, 0.003]
    assert [condition.training["steps"] for condition in conditions] == [100] * 4 + [50]
    assert [condition.seeds for condition in conditions] == [16] * 4 + [8]
    assert [condition.primary for condition in conditions] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"cue_parity"', '"cue_partiy"', "did you mean 'cue_parity'"),
        ('"question"', '"questoin"', "did you mean 'question'"),
        ('"mlp"', '"mpl"', "did you mean 'mlp'"),
        ("bits = 3", "bitz = 3", "did you mean 'bits'"),
        ("[probes.depth.conclude]", "[probes.detph.conclude]", "did you mean 'depth'"),
        ("delta = 0.2", "dleta = 0.2", "did you mean 'delta'"),
        ('primary = ["cue_parity/*"]', 'primary = ["vault/*"]', "primary pattern matches nothing"),
        ('label = "cue_parity-4"', "", "two different conditions have one title"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(old, new, message):
    assert old in SUITE
    with pytest.raises(Exception, match=message) as caught:
        resolve(read_suite(SUITE.replace(old, new, 1)))
    assert type(caught.value).__module__.startswith("worldnets")


def test_a_job_may_measure_in_its_own_way():
    text = SUITE.replace("steps = 50", "steps = 50\nmeasure = { depth = { clips = 64 } }")
    measured = [condition.probe["measure"]["clips"] for condition in resolve(read_suite(text))]
    assert measured[-1] == 64
    assert set(measured[:-1]) == {resolve(read_suite(SUITE))[0].probe["measure"]["clips"]}
    with pytest.raises(SuiteError, match="did you mean 'depth'"):
        resolve(read_suite(text.replace("{ depth = {", "{ dept = {")))
    with pytest.raises(WorldnetsError, match="did you mean 'clips'"):
        resolve(read_suite(text.replace("clips = 64", "clip = 64")))


def test_the_same_condition_twice_is_refused():
    once = '[suite]\nname = "s"\n[[jobs]]\nworld = "cue_parity"\nobjective = "question"\nheads = ["linear", "linear"]\n'
    with pytest.raises(SuiteError, match="the same condition stands there twice"):
        resolve(read_suite(once))


def test_the_keys_of_the_quick_suite_never_change():
    # Golden values: whoever changes one makes that finished cell of every run directory unreachable.
    golden = {
        "alarm/question/linear/evidence": "52c09f152d886f9f",
        "alarm/question/mlp/evidence": "24e6296f675f0797",
        "vault/continuation/linear/evidence": "d32d910ea758a11b",
        "vault/continuation/mlp/evidence": "2432d12aa0435602",
        "vault/question/linear/evidence": "97301b95d1570c0f",
        "vault/question/mlp/evidence": "6e318d2b7d4f1132",
        "vault/question/mlp/beliefs": "fb8fee805c7fb820",
        "cue_parity/question/linear/evidence": "077c8c88b13732af",
        "cue_parity/question/mlp/evidence": "4f7206aec93ef89a",
    }
    found = {condition.title: condition.cells[0].key[:16] for condition in resolve(load_suite("quick"))}
    assert found == golden
