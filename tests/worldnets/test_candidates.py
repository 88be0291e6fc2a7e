import json

import numpy as np
import pytest

from worldnets import candidates as module
from worldnets.candidates import Candidates, clique_cells, clustered_mean, held_out, learn
from worldnets.episodes import ClipLayout, Episodes, Taken
from worldnets.errors import DatasetError
from worldnets.inference import simulate
from worldnets.net import WorldNet

LAYOUT = ClipLayout({"a": (0, 1), "b": (0, 1)}, 4, {"z": (0, 1)})


def planted():
    """a stays, b copies the a before it; z decides how sure both are."""
    stay = np.array([[[0.95, 0.05], [0.05, 0.95]], [[0.7, 0.3], [0.3, 0.7]]])
    states, parents, tables = dict(LAYOUT.states), {}, {"z": np.array([0.5, 0.5])}
    for t in range(1, 5):
        parents |= {f"{k}_{t}": ("z", f"a_{t - 1}") if t > 1 else () for k in "ab"}
        tables |= {f"{k}_{t}": stay if t > 1 else np.array([0.5, 0.5]) for k in "ab"}
    return WorldNet(states, parents, tables)


@pytest.fixture(scope="module")
def clips():
    return Episodes(LAYOUT, simulate(planted(), 3000, 0), np.arange(3000) // 2)


@pytest.fixture(scope="module")
def learned(clips):
    return learn(clips, parents=2, hidden=(2,))


def test_the_one_with_the_fewest_validation_bits_is_chosen_and_comes_near_the_truth(clips, learned):
    net, found = learned
    assert found.chosen == min(found, key=lambda one: one.validation.bits).name
    assert net.name == found.chosen
    assert found.best.name.startswith("two-slice, 2 parents")
    truth = held_out(planted(), LAYOUT.variables, clips.take("test"))
    assert abs(found.best.test.bits - truth.bits) < 0.05
    assert {"marginals", "Chow-Liu tree"} < {one.name for one in found}


def test_every_candidate_is_judged_on_clips_that_it_was_not_learned_from(clips, learned):
    for one in learned[1]:
        assert (one.validation.rows, one.test.rows) == (clips.count("validation"), clips.count("test"))
        assert one.frames.bits < one.test.bits  # without the latent there is less to say
        assert one.seconds >= 0
    again = held_out(learned[0], LAYOUT.variables, clips.take("test"))
    assert again == learned[1].best.test


def test_bits_of_the_frames_alone_sum_the_latents_out(clips, learned):
    net = learned[0]
    best = learned[1].best
    codes = clips.take("test").codes
    total = np.zeros(len(codes))
    for state in (0, 1):
        one = codes.copy()
        one[:, 0] = state
        own = np.full((len(codes), len(net.variables)), -1, dtype=np.int16)
        own[:, [net.index[v] for v in LAYOUT.variables]] = one
        from worldnets.learning.learned import bits_per_row

        total += 2.0 ** -bits_per_row(net, own)
    assert best.frames.bits == pytest.approx(-np.log2(total).mean())


def test_one_in_which_beliefs_cannot_be_computed_is_judged_and_not_chosen(clips, monkeypatch):
    monkeypatch.setattr(module, "clique_cells", lambda net: None if net.name.startswith("two-slice") else 7)
    _, found = learn(clips, parents=2, hidden=())
    assert found.chosen == "Chow-Liu tree"
    wide = [one for one in found if one.name.startswith("two-slice")]
    assert wide
    assert all(one.cells is None and not one.usable and one.frames is None for one in wide)
    assert min(one.test.bits for one in wide) < found.best.test.bits
    monkeypatch.setattr(module, "clique_cells", lambda net: None)
    with pytest.raises(DatasetError, match="no world-model that was learned can be asked"):
        learn(clips, parents=1, hidden=())


def test_wide_nets_are_told_by_their_clique_cells():
    def net(parents):
        names = [f"v{i}" for i in range(parents)]
        states = dict.fromkeys([*names, "child"], (0, 1))
        tables = dict.fromkeys(names, np.array([0.5, 0.5])) | {"child": np.full((2,) * (parents + 1), 0.5)}
        return WorldNet(states, {"child": names}, tables)

    assert clique_cells(net(3)) == 16
    assert clique_cells(net(5), most=63) is None
    assert clique_cells(net(5), most=64) == 64


def test_the_error_of_a_mean_is_over_sources():
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(300), 4)
    values = random.normal(size=300)[clusters] + 0.1 * random.normal(size=1200)
    mean, error = clustered_mean(values, clusters)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.reshape(300, 4).mean(axis=1).std(ddof=1) / 300**0.5)
    assert error > 1.8 * values.std() / 1200**0.5
    assert np.isnan(clustered_mean(np.ones(3), np.zeros(3, dtype=int))[1])
    assert np.isnan(clustered_mean(np.zeros(0), np.zeros(0, dtype=int))[0])


def test_impossible_clips_are_counted_and_left_out():
    certain = WorldNet({"x": (0, 1)}, {}, {"x": np.array([1.0, 0.0])})
    found = held_out(certain, ["x"], Taken(np.array([[0], [1], [0], [0]], dtype=np.int16), np.arange(4)))
    assert (found.bits, found.rows, found.impossible) == (0.0, 4, 1)


def test_a_table_has_a_row_for_each_and_json_keeps_them(learned):
    found = learned[1]
    table = found.to_pandas()
    assert table["world_model"].tolist() == [one.name for one in found]
    assert table.loc[table["chosen"], "world_model"].tolist() == [found.chosen]
    assert table["test_bits"].tolist() == [one.test.bits for one in found]
    again = Candidates.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert f"**{found.chosen}**" in found.to_markdown()
    assert len(found.to_markdown().splitlines()) == len(found) + 2
    assert repr(found) == (
        f"Candidates({len(found)}; chosen '{found.chosen}': "
        f"{found.best.test.bits:.2f} ± {found.best.test.standard_error:.2f} bits per test clip)"
    )
