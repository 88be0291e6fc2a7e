"""A crowd that listens: its tables are those of its story, and its clips those of a settled forecast."""

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.feedback import feedback_of, hardness, played, reacting, settled
from worldnets.worlds.echo import HORIZON, echo


def test_the_dataset_passes_its_own_check():
    assert [str(result) for result in check_dataset(load_dataset("echo")) if not result.ok] == []


def test_demand_follows_the_forecast_as_often_as_the_strength_says():
    net = echo(strength=0.3, calm=0.8).net
    assert net.parents("demand_2") == ("mood_1", "demand_1", "forecast_1")
    table = net.cpt("demand_2")
    np.testing.assert_allclose(table[0, 2, 2], [0.07, 0.07, 0.7 * 0.8 + 0.3])
    np.testing.assert_allclose(table[0, 2, 0], [0.07 + 0.3, 0.07, 0.56])
    away = echo(strength=0.3, calm=0.8, reaction="away").net.cpt("demand_2")
    np.testing.assert_allclose(away[0, 2, 0], [0.07, 0.07 + 0.15, 0.56 + 0.15])


def test_clips_are_those_of_the_forecast_that_the_world_bears_out():
    dataset = load_dataset("echo", strength=0.6)
    feedback = feedback_of(dataset)
    published = dataset.net.cpt("forecast_1").reshape(6, 3)
    np.testing.assert_allclose(published, settled(feedback, HORIZON), atol=1e-9)
    np.testing.assert_allclose(reacting(played(feedback, published, 1)), published, atol=1e-9)


def test_a_low_demand_leads_to_frames_that_are_easier_to_predict_than_a_high_one():
    feedback = feedback_of(load_dataset("echo"))
    bits = [float(hardness(played(feedback, np.tile(np.eye(3)[f], (6, 1)), 8))) for f in range(3)]
    assert bits[0] < bits[1] < bits[2]


@pytest.mark.parametrize("wrong", [{"strength": 1.5}, {"reaction": "never"}, {"calm": -0.1}, {"frames": 1}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(DatasetError):
        echo(**wrong)
