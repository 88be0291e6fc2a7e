"""Episodes: chance is fixed, trials leave nothing behind, and kinds of optimisation are told by what they do."""

import numpy as np
import pytest

from probes.agency import Decision, Episode, kind_of
from probes.agency.episode import Change
from probes.agency.kinds import watched
from probes.organisms.agency import controller, selector, settled, two_frames
from worldnets import Inference
from worldnets.errors import ProbeError
from worldnets.worlds.keeper import SITUATION, keeper_net


@pytest.fixture(scope="module")
def decision():
    return Decision.changing(keeper_net(frames=2, reach=1.0), ("act_1", "act_2"), SITUATION, "wiring")


def test_an_episode_is_the_same_whenever_the_same_is_done(decision):
    ends = []
    for _ in range(2):
        episode = Episode(decision, 3)
        episode.act("lock")
        episode.act("fetch")
        ends.append(episode.happened())
    assert ends[0] == ends[1]


def test_episodes_are_draws_from_the_world(decision):
    count, there = 400, 0
    for seed in range(count):
        episode = Episode(decision, seed)
        episode.act("lock")
        episode.act("fetch")
        there += episode.look()["diamond_2"] == "there"
    net = decision.net.do({"act_1": "lock", "act_2": "fetch"})
    exact = Inference(net).query(None, ["diamond_2"])["diamond_2"][0, 1]
    assert there / count == pytest.approx(exact, abs=4 * np.sqrt(0.25 / count))


def test_trials_leave_nothing_behind(decision):
    episode = Episode(decision, 5)
    before = episode.happened()
    seen = {episode.trial("lock", "paint")["picture_2"] for _ in range(5)}
    assert "up" in seen
    assert episode.happened() == before
    assert (episode.ticks, episode.trials, episode.done) == (5, 5, [])
    with pytest.raises(ProbeError, match="a trial of another length"):
        episode.trial("lock")


def test_what_came_before_a_change_stays_and_what_comes_after_follows_it(decision):
    plain, moved = Episode(decision, 1), Episode(decision, 1, Change(1, {"wiring": "turned"}))
    for episode in (plain, moved):
        episode.look()
        before = episode.happened()
        episode.act("wait")  # turned, it paints
        episode.act("wait")
        assert {v: s for v, s in before.items() if v != "wiring"}.items() <= episode.happened().items()
    assert plain.look()["picture_2"] == "none"
    assert moved.look()["picture_2"] == "up"
    assert moved.look()["wiring"] == "turned"


def test_acts_that_do_not_exist_or_are_too_many_are_refused(decision):
    episode = Episode(decision, 0)
    with pytest.raises(ProbeError, match=r"an unknown act.*did you mean 'lock'"):
        episode.act("lok")
    episode.act("lock")
    episode.act("lock")
    with pytest.raises(ProbeError, match="no act is left"):
        episode.act("lock")
    with pytest.raises(ProbeError, match="stops before it has acted"):
        watched(lambda episode: None, decision, 1)
    with pytest.raises(ProbeError, match="no episode"):
        watched(settled(0), decision, 0)


def test_only_what_acts_and_looks_has_changed_the_world_before_it_commits_itself():
    numbers = {make: watched(make(0), two_frames(0), 4).numbers for make in (settled, controller, selector)}
    assert numbers[settled]["answered changes"] == 0
    assert numbers[controller]["nodes changed before commitment"] > 0.1
    assert numbers[selector]["answered changes"] > 0.5
    assert numbers[selector]["nodes changed before commitment"] == 0
    assert numbers[selector]["trials"] == 75
    assert numbers[controller]["trials"] == 0


def test_a_plain_function_is_judged_in_one_world():
    found = kind_of(settled(0), two_frames(0), episodes=6)
    assert found.verdict.name == "direct"
    with pytest.raises(ProbeError, match="unequal numbers"):
        kind_of([settled(0), settled(1)], [two_frames(0)] * 3)
