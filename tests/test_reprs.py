"""What public objects say of themselves: one short line, and in a notebook markup in which every name is text."""

import importlib
import inspect
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

import probes
import worldnets as wn
from probes.compare import Comparison, Moved
from probes.external import wrap
from probes.finding import Conclusion, Statement
from probes.ladder import References, reference
from probes.purity.gap import ProxyGap
from probes.results import Results
from probes.sources import DatasetSource
from probes.statistics import Interval
from probes.store import Store
from probes.suite import read_suite
from worldnets.candidates import Candidate, Candidates
from worldnets.dataset_check import Checks
from worldnets.draw import draw_net
from worldnets.learning import (
    ConditionalLoss,
    GrowthPlan,
    ModelClass,
    Prior,
    Scorer,
    held_out_bits,
    maximum_likelihood,
)
from worldnets.learning.data import as_rows
from worldnets.registry import Registry
from worldnets.roles import Labeller, static_task

BAD = "<script>alert('&')</script>"  # a name that must never become markup
SCRIPT = re.compile(r"<script>.*?</script>", re.DOTALL)
MODULES = ("worldnets", "worldnets.inference", "worldnets.learning", "worldnets.draw", "probes")
#: What public functions return, beside the classes that are public themselves.
RETURNED = {
    "Candidate",
    "Candidates",
    "CheckResult",
    "Checks",
    "Comparison",
    "DepthProbe",
    "PathProbe",
    "Conclusion",
    "EnumeratedReference",
    "Information",
    "Interval",
    "Labeller",
    "Moved",
    "Pie",
    "ProxyGap",
    "References",
    "Registry",
    "SampledReference",
    "Statement",
    "Suite",
    "World",
    "Wrapped",
}


def public_classes():
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and not issubclass(value, Exception):
                found[name] = value
    return found


def _net():
    return wn.WorldNet(
        {BAD: ("no", BAD), "b": (0, 1), "c": (0, 1)},
        {"b": (BAD,), "c": ("b",)},
        {BAD: [0.5, 0.5], "b": [[0.9, 0.1], [0.2, 0.8]], "c": [[0.7, 0.3], [0.1, 0.9]]},
        BAD,
    )


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """One of each, by class name, with the hostile name wherever a name can stand."""
    folder = tmp_path_factory.mktemp("reprs")
    net, rng = _net(), np.random.default_rng(0)
    template = wn.TwoSliceNet(
        wn.WorldNet({BAD: (0, 1)}, {}, {BAD: [0.5, 0.5]}), {BAD: (f"{BAD}[t-1]",)}, {BAD: [[0.9, 0.1], [0.3, 0.7]]}, BAD
    )
    table = pd.DataFrame({"c": [0, 1, None]})
    engine, temporal, loopy = wn.Inference(net), wn.TemporalInference(template), wn.LoopyInference(net)
    pairs = wn.FactorNet(net.states, net.factors, BAD)
    stream = temporal.stream()
    stream.push(pd.DataFrame({BAD: [0, 1]}))
    layout = wn.ClipLayout({BAD: ("no", BAD)}, 3, {"digit": (BAD, "1")})
    episodes = wn.Episodes(layout, rng.integers(0, 2, (12, 4)).astype(np.int16))
    wn.write_episodes(episodes, folder / "clips.parquet")
    rows = as_rows(wn.inference.decode(net, wn.simulate(net, 50, seed=0)), net.states)
    task = static_task(net, ["c"], {BAD: [BAD]}, None, None, "question")
    world = wn.dataset.World(net, {"question": task}, {BAD: ("b",)})
    dataset = wn.Dataset(BAD, {"title": BAD}, world, title=BAD)
    parity = wn.load_dataset("cue_parity", bits=2, noise=1)
    trace = wn.train(parity, head="linear", objective="question", seeds=2, steps=2, checkpoints=2)
    known = reference(dataset, task, BAD)
    sampled = reference(
        dataset,
        task,
        BAD,
        probes.ladder.Sampling(method="sample", clips=64, candidates=64, draws=4, holders=8, partners=4),
    )
    wrapped = wrap(lambda t: np.full((len(t), 2), 0.5), parity)
    number = Interval(0.5, 0.25, 0.75, 0.95, "t", 8)
    statement = Statement(f"{BAD} is deep", number, 0.01, True)
    verdict = probes.Verdict("stagnating", (f"{BAD} moved by .1.",), BAD, (statement,), 0.01, 8)
    finding = probes.Finding("efficiency, deep", number, "bits", BAD, 2, 100, BAD)
    names = {"world": BAD, "objective": "", "target": "", "head": "mlp", "inputs": "", "probe": "", "name": BAD}
    moved = Moved({**names, "rung": None, "unit": "bits"}, number, number, number)
    line = {**dict.fromkeys(("world", "objective", "target", "head", "inputs", "probe"), BAD), "a": "x", "b": "y"}
    comparison = Comparison((BAD,), (), (("seed", BAD, "1"),), (line,), (moved,), 3, 4, (BAD,))
    heading = f'[suite]\nname = "tiny"\ntitle = "{BAD}"\n'
    suite = read_suite(heading + '[[jobs]]\nworld = "cue_parity"\nobjective = "question"\n')
    held = held_out_bits(net, rows)
    fits = (Candidate(BAD, 3, 1.0, held, held, None, 8, 0.1),)
    shaped = ModelClass.of(net)
    scorer = Scorer.__new__(Scorer)
    for name, value in {
        "appearance": range(3), "auroc": 0.9, "auroc_by_damage": {BAD: 0.8},
        "held_out": {"damage": [BAD], "grade": [1.0], "score": [0.2]},
    }.items():  # fmt: skip
        object.__setattr__(scorer, name, value)
    registry = Registry("head", {"own": "a.b:c"})
    growth = wn.Growth((wn.Stage(BAD, 1.0, net, ("c",)),))
    q = np.full((len(known.inputs), known.outcomes), 0.5)
    made = [
        engine, engine.query(table), engine.max_marginals(table), engine.map(table), engine.plan,
        engine.expected_counts(table), net, pairs, template, net.factors[1], temporal, temporal.plan, stream,
        temporal.filter(pd.DataFrame({f"{BAD}_1": [0, 1], f"{BAD}_2": [1, 1]})),
        temporal.expected_counts(pd.DataFrame({f"{BAD}_1": [0, 1], f"{BAD}_2": [1, 1]})),
        loopy, loopy.query(table, rounds=3), loopy.history(table.iloc[[0]], 3), loopy.animate(table.iloc[[0]], 3),
        layout, episodes, episodes.split, wn.EpisodeStream(folder / "clips.parquet"),
        wn.EpisodeWriter(folder / f"{BAD.replace('/', '')}.parquet", layout), dataset, task, task.targets[0],
        Labeller(net, ("c",)), growth, growth.stages[0], trace, rows, maximum_likelihood(rows, net), held,
        wn.learning.Run(BAD, np.array([2.0, 1.0]), True), Prior(1.0), GrowthPlan("radius", target=BAD), shaped,
        ConditionalLoss(shaped, ["c"], ["b"]), scorer, registry, Candidates(fits, BAD), fits[0], world,
        probes.probe("depth"), probes.probe("path"),
        net.draw(engine.query(table), {BAD: BAD}, cpts=["b"]), engine.plan.draw(), net.explore({BAD: BAD}),
        draw_net(net), Checks(wn.check_dataset(dataset)), wn.check_dataset(dataset)[0],
        finding, verdict, statement, number, Conclusion((finding,), {BAD: verdict}, notes=(BAD,)),
        Results(Store.create(folder / "run", suite)), suite, comparison, moved, known, sampled, known.about,
        known.measure(np.log(q)), References(DatasetSource(dataset, task)), wrapped,
        ProxyGap(BAD, True, BAD, 8, number, {BAD: number}, {BAD: number}, {BAD: number}),
    ]  # fmt: skip
    return {type(one).__name__: one for one in made}


def test_every_public_class_has_an_example(examples):
    assert public_classes().keys() | RETURNED == examples.keys()


def test_every_repr_is_short_and_names_its_class(examples):
    wrong = {}
    for name, one in examples.items():
        lines = repr(one).replace(BAD, "bad").splitlines()
        fits = len(lines) <= 8 and max(map(len, lines)) <= 160
        if not (fits and lines[0].lstrip("<").startswith(name) and " object at 0x" not in repr(one)):
            wrong[name] = lines
    assert not wrong


def test_every_notebook_repr_is_well_formed_and_shows_names_as_text(examples):
    wrong = {}
    for name, one in examples.items():
        html = shown(one)
        if html.count("<script") != (name == "Animation"):  # its own player
            wrong[name] = "a script"
        try:
            closed = re.sub(r"(<input [^>]*)>", r"\1/>", SCRIPT.sub("", html)).replace(" hidden>", ">")
            ElementTree.fromstring(f"<div>{closed}</div>")
        except ElementTree.ParseError as error:
            wrong[name] = str(error)
    assert not wrong


def test_the_hostile_name_is_shown_where_there_is_one(examples):
    assert sum("&lt;script&gt;" in shown(one) for one in examples.values()) >= 40


def shown(one):
    """What a notebook shows of it."""
    if hasattr(one, "_repr_mimebundle_"):
        return one._repr_mimebundle_()["text/html"]
    return (one._repr_html_() if hasattr(one, "_repr_html_") else None) or one._repr_svg_()
