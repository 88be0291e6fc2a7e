import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import worldnets as wn
from probes.catalogue.depth import DepthProbe
from probes.cli import main
from probes.ladder import references
from probes.runner import plan
from probes.skeleton import new_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError


def test_a_new_dataset_is_fit_for_use_and_its_suite_can_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(main, ["new", "dataset", "roads"])
    assert said.exit_code == 0
    assert "probes check ./roads" in said.output
    dataset = wn.load_dataset("./roads")
    assert all(result.ok for result in check_dataset(dataset))
    planned = plan("roads/suite.toml")
    assert [condition.names["head"] for condition in planned.conditions] == ["linear", "mlp"]
    assert CliRunner().invoke(main, ["check", "./roads"]).exit_code == 0


def test_a_path_of_one_part_is_a_folder_and_rebuilds_the_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new_dataset("vault")  # also where a built-in dataset has the name
    dataset = wn.load_dataset(Path("vault"))
    assert "road" in dataset.net.variables
    assert wn.load_dataset(**dataset.spec).digest == dataset.digest


def test_each_rung_of_the_new_dataset_tells_something(tmp_path):
    dataset = wn.load_dataset(new_dataset("roads", tmp_path))
    task = dataset.task("question")
    pie = references(dataset, task, DepthProbe().sampling).get(task.ladders["road"], "road").about.information
    assert len(pie) == 3
    assert min(pie) > 0.02


def test_its_card_names_commands_that_exist(tmp_path):
    folder = new_dataset("roads", tmp_path)
    lines = (folder / "README.md").read_text().splitlines()
    commands = {line.split()[1] for line in lines if line.startswith("probes ")}
    assert commands <= set(main.commands)
    assert tomllib.loads((folder / "dataset.toml").read_text())["dataset"]["name"] == "roads"


@pytest.mark.parametrize("name", ["", "../roads", "a b", "1st", "a/b", ".", "röad"])
def test_a_name_that_is_none_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(DatasetError, match="no name for a dataset"):
        new_dataset(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "roads").mkdir()
    with pytest.raises(DatasetError, match="there already"):
        new_dataset("roads", tmp_path)
    with pytest.raises(DatasetError, match="cannot make the folder"):
        new_dataset("roads", tmp_path / "nowhere")
    assert list((tmp_path / "roads").iterdir()) == []
