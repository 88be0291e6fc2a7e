import copy
import itertools
import json

import numpy as np
import pytest

from worldnets import dataset as dataset_module
from worldnets.dataset import Dataset, dataset_names, load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.dataset_folder import LARGEST
from worldnets.errors import DatasetError, UnknownNameError
from worldnets.inference import decode, encode
from worldnets.net import WorldNet
from worldnets.registry import Registry
from worldnets.roles import World, static_task

BIF = """network small {}
variable Y { type discrete [ 2 ] { yes, no }; }
variable Z { type discrete [ 2 ] { on, off }; }
variable A { type discrete [ 2 ] { hi, lo }; }
variable B { type discrete [ 2 ] { hi, lo }; }
probability ( Y ) { table 0.3, 0.7; }
probability ( Z | Y ) { (yes) 0.9, 0.1; (no) 0.2, 0.8; }
probability ( A | Y ) { (yes) 0.8, 0.2; (no) 0.3, 0.7; }
probability ( B | Z ) { (on) 0.6, 0.4; (off) 0.1, 0.9; }
"""
HEAD = '[dataset]\nname = "small"\nnet = "small.bif"\n'
ROLES = '[roles]\nevidence = ["A", "B"]\ntargets = ["Y"]\n'


@pytest.fixture
def folder(tmp_path):
    def make(text, net=BIF):
        here = tmp_path / "small"
        here.mkdir(exist_ok=True)
        (here / "dataset.toml").write_text(text)
        (here / "small.bif").write_text(net)
        return here

    return make


def joint(net, variables):
    """The joint distribution of some variables by summing over all states of the net: the slow, sure way."""
    table = np.zeros([len(net.states[v]) for v in variables])
    for states in itertools.product(*(range(len(labels)) for labels in net.states.values())):
        state = dict(zip(net.variables, states, strict=True))
        p = np.prod([net.cpt(v)[(*(state[u] for u in net.parents(v)), state[v])] for v in net.variables])
        table[tuple(state[v] for v in variables)] += p
    return table


# Built-in datasets and parameters


def test_the_built_in_datasets_are_listed():
    assert {"alarm", "cue_parity", "vault"} <= set(dataset_names())


@pytest.mark.parametrize("name", ["alarm", "cue_parity", "vault"])
def test_a_built_in_dataset_passes_its_own_check(name):
    assert [str(result) for result in check_dataset(load_dataset(name)) if not result.ok] == []


@pytest.mark.parametrize(("name", "parameters"), [("vault", {"frames": 4, "noise": 0.1}), ("cue_parity", {"bits": 2})])
def test_a_spec_written_as_json_rebuilds_the_same_dataset(name, parameters):
    given = load_dataset(name, **parameters).with_redrawn(
        load_dataset(name, **parameters).task("question").evidence[:1]
    )
    again = load_dataset(**json.loads(json.dumps(given.spec)))
    assert again.spec == given.spec
    assert again.digest == given.digest
    assert np.array_equal(again.simulate(20, 3), given.simulate(20, 3))


def test_a_spec_holds_every_parameter_so_that_a_changed_default_cannot_change_it():
    assert set(load_dataset("cue_parity").spec["parameters"]) == {"strength", "deep_strength", "bits", "noise"}


def test_parameters_in_a_mapping_give_way_to_named_ones():
    assert load_dataset("cue_parity", parameters={"bits": 2, "noise": 1}, bits=4).parameters["bits"] == 4


def test_a_name_is_found_in_any_spelling_and_kept_in_one():
    assert load_dataset("Cue-Parity").spec["name"] == "cue_parity"


def test_the_digest_tells_worlds_apart_and_not_names():
    base = load_dataset("cue_parity")
    assert base.digest != load_dataset("cue_parity", strength=0.97).digest
    assert base.digest != base.with_redrawn(["cue"]).digest
    assert base.digest == Dataset("other", {}, base.world).digest


def test_an_unknown_dataset_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"unknown dataset; found 'valt'. Mend: did you mean 'vault'?"):
        load_dataset("valt")
    with pytest.raises(UnknownNameError, match="named by a text or a path"):
        load_dataset(7)  # type: ignore[arg-type]


def test_a_folder_named_without_separator_is_pointed_out(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"a folder here is named with a separator: './mine'"):
        load_dataset("mine")


def test_an_unknown_parameter_is_answered_with_the_nearest_one():
    with pytest.raises(DatasetError, match=r"node 'vault': unknown parameter; found 'frame'.*did you mean 'frames'?"):
        load_dataset("vault", frame=8)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_a_parameter_that_is_no_json_is_refused(value):
    with pytest.raises(DatasetError, match="parameters that are no JSON"):
        load_dataset("cue_parity", strength=value)


def test_numpy_numbers_are_taken_as_plain_ones():
    assert load_dataset("cue_parity", bits=np.int64(2), strength=np.float64(0.9)).spec["parameters"]["bits"] == 2


# Drawing clips


def test_a_clip_depends_only_on_the_seed_and_its_number():
    for given in (load_dataset("vault"), load_dataset("vault").with_redrawn(["sensor_1", "sensor_2"])):
        assert np.array_equal(given.simulate(15, 7)[10:], given.simulate(5, 7, first=10))
        assert not np.array_equal(given.simulate(15, 7), given.simulate(15, 8))


def test_the_sampled_table_says_the_same_as_the_codes():
    given = load_dataset("cue_parity")
    table = given.sample(12, seed=4)
    assert list(table.columns) == list(given.net.variables)
    assert np.array_equal(encode(given.net, table), given.simulate(12, 4))
    assert table.equals(decode(given.net, given.simulate(12, 4)))


def test_a_dataset_tells_its_nodes_and_tasks():
    given = load_dataset("cue_parity", noise=0)
    assert given.to_pandas()["question"].to_dict() == {
        "answer": "target answer",
        "deep": "latent",
        "cue": "evidence",
        "bit_1": "evidence",
        "bit_2": "evidence",
        "bit_3": "evidence",
    }
    assert repr(given) == "Dataset('cue_parity', 6 variables, question)"
    with pytest.raises(UnknownNameError, match="did you mean 'question'"):
        given.task("questions")


def test_a_copy_is_the_same_dataset():
    given = load_dataset("cue_parity").with_redrawn(["cue"])
    assert copy.deepcopy(given).digest == given.digest


# Twins


@pytest.fixture(scope="module")
def chain():
    # A -> B -> C -> D with B shown: what C is stays tied to what B would have shown.
    tables = {v: [[0.9, 0.1], [0.2, 0.8]] for v in "BCD"} | {"A": [0.3, 0.7]}
    net = WorldNet(dict.fromkeys("ABCD", ("u", "v")), {"B": ["A"], "C": ["B"], "D": ["C"]}, tables, "chain")
    return Dataset("chain", {}, World(net, {"question": static_task(net, ["B", "D"], {"A": ["A"]})}))


def test_a_twin_draws_the_redrawn_evidence_from_its_own_distribution_independently_of_all_else(chain):
    base, twin = chain.net, chain.with_redrawn(["B"]).net
    assert np.allclose(joint(twin, ["B", "A", "C", "D"]), np.multiply.outer(joint(base, "B"), joint(base, "ACD")))
    both = chain.with_redrawn(["D", "B"])
    expected = np.multiply.outer(joint(base, "BD"), joint(base, "AC"))
    assert both.redrawn == ("B", "D")
    assert np.allclose(joint(both.net, ["B", "D", "A", "C"]), expected, atol=1e-12)


def test_a_twin_keeps_the_columns_of_its_base_and_changes_only_the_redrawn_ones(chain):
    twin = chain.with_redrawn(["B"])
    base_codes, codes = chain.simulate(4000, 5), twin.simulate(4000, 5)
    assert twin.net.variables[:4] == chain.net.variables
    assert np.array_equal(codes[:, [0, 2, 3]], base_codes[:, [0, 2, 3]])
    assert not np.array_equal(codes[:, 1], base_codes[:, 1])
    assert np.array_equal(codes[:, twin.net.index["B@unseen"]], base_codes[:, 1])
    # What is simulated is what the twin's net says: log-likelihood is finite and A, B are uncorrelated.
    assert abs(np.corrcoef(codes[:, 0], codes[:, 1])[0, 1]) < 0.06
    assert abs(np.corrcoef(base_codes[:, 0], base_codes[:, 1])[0, 1]) > 0.5


def test_simulated_twins_follow_the_net_of_the_twin(chain):
    twin = chain.with_redrawn(["B"])
    codes = twin.simulate(20_000, 1)
    table = joint(twin.net, twin.net.variables).ravel()
    drawn = np.bincount(np.ravel_multi_index(codes.T.astype(int), [2] * codes.shape[1]), minlength=table.size)
    assert np.abs(drawn / len(codes) - table).max() < 0.02
    assert drawn[table == 0].sum() == 0


def test_redrawing_nothing_gives_the_base_back(chain):
    assert chain.with_redrawn(["B"]).with_redrawn([]).net is chain.net


def test_only_evidence_can_be_redrawn(chain):
    with pytest.raises(DatasetError, match="only evidence can be redrawn; found 'A'"):
        chain.with_redrawn(["A"])


# Folders


def test_a_folder_with_a_net_and_roles_is_a_dataset(folder):
    given = load_dataset(folder(HEAD + ROLES))
    task = given.task("question")
    assert given.net.states["Y"] == ("yes", "no")
    assert (task.evidence, task.latents) == (("A", "B"), ("Z",))
    assert task.ladders["Y"] == (("A",), ("B",))  # by distance: B lies behind Z
    assert [result for result in check_dataset(given) if not result.ok] == []


def test_a_folder_may_set_its_own_ladder_targets_and_objective(folder):
    roles = '[roles]\nevidence = ["A"]\nlatents = []\nladder = [["A"]]\nobjective = "status"\n'
    given = load_dataset(str(folder(HEAD + roles + '[roles.targets]\nboth = ["Y", "B"]\n')))
    task = given.task("status")
    assert task.targets[0].variables == ("Y", "B")
    assert (task.ladders, task.latents) == ({"both": (("A",),)}, ())


def test_a_folder_may_name_a_builder_with_its_own_defaults(folder):
    here = folder('[dataset]\nname = "mine"\nbuilder = "cue_parity"\n[parameters]\nbits = 2\nnoise = 0\n')
    assert load_dataset(here).net.variables == ("answer", "deep", "cue", "bit_1", "bit_2")
    assert load_dataset(here, bits=1).parameters["bits"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no name"),
        ("[dataset", "not a TOML file"),
        ('name = "small"\n', "unknown section; found 'name'"),
        ("dataset = 3\n", "a key outside every section"),
        ("[dataset]\nname = 3\n", r"\[dataset\] name is not a text"),
        (HEAD + 'builder = "vault"\n', "found builder and net"),
        ('[dataset]\nname = "small"\n', "found none of them"),
        (HEAD + 'titel = "t"\n' + ROLES, "unknown key of .dataset.; found 'titel'.*did you mean 'title'"),
        (HEAD + ROLES + 'target = ["Y"]\n', "found 'target'.*did you mean 'targets'"),
        (HEAD + ROLES + "[citations]\n", "unknown section; found 'citations'.*did you mean 'citation'"),
        (HEAD + ROLES + "[citation]\ntext = 1\n", "is not a text"),
        (HEAD, "names no evidence"),
        (HEAD + '[roles]\nevidence = ["A"]\n', "names no targets"),
        (HEAD + '[roles]\nevidence = "A"\ntargets = ["Y"]\n', "not a list of names"),
        (HEAD + ROLES + 'ladder = "A"\n', "not a list of lists"),
        (HEAD + ROLES + 'ladder = [["A"]]\n', r"ladder covers evidence: of 'Y': \['B'\]"),
        (HEAD + ROLES.replace('"B"', '"b"'), "unknown variable; found 'b'"),
        (HEAD + ROLES.replace('"Y"', '"A"'), "are evidence and target"),
        (HEAD + ROLES + "[parameters]\n", r"\[parameters\] belong to a builder"),
        ('[dataset]\nname = "s"\nbuilder = "vault"\n' + ROLES, r"\[roles\] belong to a net file"),
        ('[dataset]\nname = "s"\nbuilder = "vault"\n[parameters]\nframe = 3\n', "unknown parameter; found 'frame'"),
        ('[dataset]\nname = "s"\nbuilder = "vault"\n[parameters]\nframes = 1\n', "'frames' out of range"),
        (HEAD.replace("small.bif", "smal.bif") + ROLES, "net file is missing.*did you mean 'small.bif'"),
        ("#" * (LARGEST + 1), "too large"),
    ],
)
def test_an_ill_formed_description_is_refused_naming_the_file_and_the_mend(folder, text, message):
    here = folder(text)
    with pytest.raises(DatasetError, match=f"(?s){message}") as caught:
        load_dataset(here)
    assert caught.value.file == here / "dataset.toml"
    assert caught.value.mend


@pytest.mark.parametrize("name", ["../outside.bif", "sub/../../outside.bif", "link.bif"])
def test_a_net_outside_the_folder_is_refused(folder, tmp_path, name):
    (tmp_path / "outside.bif").write_text(BIF)
    here = folder(HEAD.replace("small.bif", name) + ROLES)
    (here / "link.bif").symlink_to(tmp_path / "outside.bif")
    with pytest.raises(DatasetError, match="a file outside the dataset folder"):
        load_dataset(here)


def test_an_absolute_net_path_is_refused_even_inside_the_folder(folder):
    here = folder(HEAD + ROLES)
    (here / "dataset.toml").write_text(HEAD.replace("small.bif", str(here / "small.bif")) + ROLES)
    with pytest.raises(DatasetError, match="a file outside the dataset folder"):
        load_dataset(here)


def test_a_description_that_is_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    here = folder(HEAD + ROLES)
    (here / "dataset.toml").rename(tmp_path / "dataset.toml")
    (here / "dataset.toml").symlink_to(tmp_path / "dataset.toml")
    with pytest.raises(DatasetError, match="a file outside the dataset folder"):
        load_dataset(here)


@pytest.mark.parametrize("builder", ["os:system", "small", "worldnets.worlds.vault:vault", "../vault"])
def test_a_builder_is_a_registered_name_and_never_code_of_the_folder(folder, builder, tmp_path):
    here = folder(f'[dataset]\nname = "s"\nbuilder = "{builder}"\n')
    (here / "small.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (here / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UnknownNameError, match="unknown world"):
        load_dataset(here)
    assert not (tmp_path / "ran").exists()


def test_a_missing_folder_or_description_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no such dataset folder"):
        load_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"the folder has no dataset.toml"):
        load_dataset(tmp_path)


def test_a_net_file_takes_no_parameters(folder):
    with pytest.raises(DatasetError, match=r"takes no parameters; found \['frames'\]"):
        load_dataset(folder(HEAD + ROLES), frames=3)


def test_a_net_of_free_factors_cannot_be_drawn_from(folder):
    here = folder(HEAD.replace("small.bif", "grid.uai") + '[roles]\nevidence = ["0"]\ntargets = ["1"]\n')
    (here / "grid.uai").write_text("MARKOV\n2\n2 2\n1\n2 0 1\n4\n1 2 3 4\n")
    with pytest.raises(DatasetError, match="no conditional tables to draw clips from"):
        load_dataset(here)


def test_an_installed_package_adds_a_dataset_by_builder_or_by_folder(folder, monkeypatch):
    world = load_dataset("cue_parity", noise=0).world
    plugins = Registry("dataset", {"by-builder": lambda size=3: world, "by-folder": folder(HEAD + ROLES)})
    monkeypatch.setattr(dataset_module, "PLUGINS", plugins)
    assert {"by_builder", "by_folder", "vault"} <= set(dataset_names())
    assert load_dataset("by_builder", size=4).spec == {"name": "by_builder", "parameters": {"size": 4}, "redrawn": []}
    assert load_dataset("by-folder").net.variables == ("Y", "Z", "A", "B")


# The conformance report


def test_a_dataset_made_in_a_script_fails_only_to_be_rebuilt(chain):
    failed = [result for result in check_dataset(chain) if not result.ok]
    assert [result.name for result in failed] == ["spec rebuilds it"]
    assert "unknown dataset" in failed[0].message


def test_a_dataset_that_comes_back_changed_is_reported():
    other = Dataset("cue_parity", {"noise": 0}, load_dataset("cue_parity", noise=1).world)
    assert [result.name for result in check_dataset(other) if not result.ok] == ["spec rebuilds it"]


def test_a_constant_target_is_reported():
    net = WorldNet(dict.fromkeys("YA", (0, 1)), {"A": ["Y"]}, {"Y": [1.0, 0.0], "A": [[0.5, 0.5]] * 2})
    given = Dataset("constant", {}, World(net, {"question": static_task(net, ["A"], {"Y": ["Y"]})}))
    failed = {result.name: result for result in check_dataset(given) if not result.ok}
    assert "question/Y" in failed["targets vary"].message
    assert str(failed["targets vary"]).startswith("FAIL targets vary: constant in 200 clips")


def test_a_world_of_a_script_is_saved_as_a_folder_and_is_the_same_when_read_back(folder, tmp_path):
    net = load_dataset(folder(HEAD + ROLES)).net
    task = static_task(net, ["A", "B"], {'both "Y" and Z': ["Y", "Z"]}, None, [["B"], ["A"]], "question")
    made = Dataset("made", {}, World(net, {"question": task}), title='He said: "\x7f" ☂')
    back = load_dataset(made.save(tmp_path / "made"))
    assert back.digest == made.digest
    assert back.title == made.title
    assert all(result.ok for result in check_dataset(back))
    with pytest.raises(DatasetError, match="not empty"):
        made.save(tmp_path / "made")


@pytest.mark.parametrize(
    ("name", "found"),
    [("vault", "its other tasks"), ("cue_parity", "states that are no texts"), ("echo", "its frames")],
)
def test_a_world_that_a_net_file_would_lose_a_part_of_is_not_saved(name, found, tmp_path):
    with pytest.raises(DatasetError, match=f"would lose a part of it; found .*{found}"):
        load_dataset(name).save(tmp_path / name)
    assert not (tmp_path / name).exists()
