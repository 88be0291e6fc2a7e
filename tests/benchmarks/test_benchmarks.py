"""The benchmarks measure what they say; how fast anything is, is not tested."""

import math
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import worldnets as wn
from worldnets.inference import UNOBSERVED, decode, simulate
from worldnets.learning import held_out_bits, maximum_likelihood
from worldnets.public_nets import public_net
from worldnets.training_plan import plan_training

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def asia():
    return wn.read_net(public_net("asia"))


def reversed_order(net):
    names = net.variables[::-1]
    return wn.WorldNet({v: net.states[v] for v in names}, net.parent_sets, net.cpts, net.name)


def test_patterns_do_not_depend_on_the_order_of_a_file(benchmark, asia):
    rows = benchmark("evidence_rows")
    for pattern in range(rows.PATTERNS):
        columns = [set(rows.one_pattern(net, pattern, 4, 1).frame.columns) for net in (asia, reversed_order(asia))]
        assert columns[0] == columns[1]


def test_rows_of_one_pattern_observe_the_same_and_rows_with_masks_do_not(benchmark, asia):
    rows = benchmark("evidence_rows")
    pattern = rows.one_pattern(asia, 3, 50, 1).codes != UNOBSERVED
    masks = rows.random_masks(asia, 50, 1).codes != UNOBSERVED
    assert (pattern == pattern[0]).all()
    assert len(np.unique(masks, axis=0)) > 10


def test_no_row_is_impossible_and_frame_and_dictionaries_say_the_same(benchmark, asia):
    rows = benchmark("evidence_rows").random_masks(asia, 50, 2)
    assert wn.Inference(asia).query(rows.frame).possible.all()
    for i, observed in enumerate(rows.as_dictionaries(50)):
        shown = rows.frame.iloc[i].dropna()
        assert {v: asia.code(v, label) for v, label in shown.items()} == observed


def test_repeats_never_see_the_same_rows(benchmark, asia):
    rows = benchmark("evidence_rows")
    assert not rows.random_masks(asia, 50, 1).frame.equals(rows.random_masks(asia, 50, 2).frame)
    assert not rows.one_pattern(asia, 0, 50, 1).frame.equals(rows.one_pattern(asia, 0, 50, 2).frame)


def test_what_a_peer_plans_once_is_spread_over_as_many_rows_as_we_answer(benchmark, asia):
    def answer(evidence):
        for i, _ in enumerate(evidence):
            time.sleep(0.05 if i == 0 else 0.001)
            yield {}

    rows = benchmark("evidence_rows").one_pattern(asia, 0, 1000, 1)
    peer = benchmark("peers").Peer("sleeper", answer, plans_once=True)
    assert 0.001 <= peer.seconds_per_row(rows, budget=0.06)() < 0.005  # plain mean of a few rows: more than .01


def test_a_peer_that_answers_otherwise_or_not_at_all_is_noticed(benchmark, asia):
    rows = benchmark("evidence_rows").random_masks(asia, 3, 1)
    peers, beliefs = benchmark("peers"), wn.Inference(asia).query(rows.codes)
    number = {v: len(labels) for v, labels in asia.states.items()}

    def uniform(evidence):
        yield from ({v: np.full(n, 1 / n) for v, n in number.items()} for _ in evidence)

    def underflowing(evidence):
        yield from ({v: np.zeros(n) for v, n in number.items()} for _ in evidence)

    assert not peers.agreement(peers.Peer("uniform", uniform, False), rows, beliefs).holds
    assert peers.agreement(peers.Peer("underflowing", underflowing, False), rows, beliefs).broken == 3


@pytest.mark.parametrize("same_pattern", [True, False])
def test_pyagrum_however_used_agrees_with_us(benchmark, asia, same_pattern):
    pytest.importorskip("pyagrum")
    make = benchmark("evidence_rows")
    rows = make.one_pattern(asia, 0, 3, 1) if same_pattern else make.random_masks(asia, 3, 1)
    beliefs = wn.Inference(asia).query(rows.codes)
    for peer in benchmark("peers").pyagrum_peers(asia, same_pattern):
        found = benchmark("peers").agreement(peer, rows, beliefs)
        assert found.holds
        assert not found.broken


def test_a_ratio_over_patterns_is_the_geometric_mean_of_median_ratios(benchmark):
    module = benchmark("exact_inference")
    cases = [
        module.Timing({"one": [1.0, 1.0, 1.0], "all": [0.5, 0.5, 0.5]}, "Lazy", peer, [], 0.0, ())
        for peer in ([2.0, 4.0, 100.0], [9.0, 9.0, 9.0])
    ]
    found = module.Comparison("alarm", "pattern", 10, tuple(cases))
    assert found.ratio("one") == pytest.approx(math.sqrt(4.0 * 9.0))
    assert found.ratio("all") == pytest.approx(math.sqrt(8.0 * 18.0))
    assert found.reached == "no"  # the aim is 500


def test_a_net_that_is_refused_is_a_line_of_the_report(benchmark):
    module = benchmark("exact_inference")
    report = module.report([module.Comparison("link", "masks", 50, ())], 5)
    assert "refused" in report.full
    assert "link, masks" in report.full.split("not reached")[1]
    assert "refused" in report.compact


def test_every_block_has_its_place_in_the_documents(benchmark):
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in benchmark("run").BLOCKS:
        assert f"<!-- {name}:begin -->" in page
        assert f"<!-- {name}:end -->" in page
    assert "<!-- exact-inference:begin -->" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_benchmark_whose_package_is_missing_says_so_and_stops_nothing(benchmark, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "needy.py").write_text("def measure():\n    import surely_not_installed\n", encoding="utf-8")
    assert "`surely_not_installed` is not installed" in benchmark("run").measured("needy", None).full


def test_a_module_of_ours_that_is_missing_is_an_error(benchmark, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mistaken.py").write_text("def measure():\n    import worldnets.nowhere\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        benchmark("run").measured("mistaken", None)


def test_repeats_are_passed_on_to_benchmarks_that_take_them(benchmark, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "counting.py").write_text("def measure(repeats=5):\n    return f'{repeats} times'\n", encoding="utf-8")
    (tmp_path / "plain.py").write_text("def measure():\n    return 'once'\n", encoding="utf-8")
    assert benchmark("run").measured("counting", 2).full == "2 times"
    assert benchmark("run").measured("counting", None).full == "5 times"
    assert benchmark("run").measured("plain", 2).full == "once"


def test_cells_are_counted_and_timed_on_one_thread_and_on_all(benchmark, monkeypatch):
    module = benchmark("bandwidth")
    monkeypatch.setattr(module, "CELLS_PER_CALL", 1e4)
    cost = module.per_cell("asia", repeats=1)
    assert cost.cells > 0
    assert 1 in cost.nanoseconds
    assert all(value > 0 for value in cost.nanoseconds.values())


def test_learning_is_compared_on_the_same_tables_and_likelihoods(benchmark, asia):
    module = benchmark("learning")
    frame = decode(asia, simulate(asia, 300, 0))
    for v, table in module.pgmpy_tables(asia, frame).items():
        np.testing.assert_allclose(maximum_likelihood(frame, asia).net.cpt(v), table, atol=1e-12)
    case = module.Case.of(asia, ("either",), 300, 2)
    assert "either" not in case.frame.columns
    ours, theirs = module.our_em(case), module.pgmpy_em(case)
    assert ours.history[0].steps == 2
    assert ours.bits == pytest.approx(held_out_bits(theirs, case.frame).bits, abs=1e-9)
    assert held_out_bits(case.start, case.frame).bits > ours.bits + 0.1


def test_learning_from_fewer_rows_is_reported_line_by_line(benchmark, monkeypatch):
    module = benchmark("learning")
    for name, value in {"SEEDS": 1, "TEST_ROWS": 500, "ROWS": 500}.items():
        monkeypatch.setattr(module, name, value)
    lines = module.planted()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:] == ["2,000", "5,000", "20,000"]


def test_the_divergence_of_a_world_model_is_summed_over_every_clip_there_is(benchmark):
    dataset = wn.load_dataset("vault", frames=2)
    seen = benchmark("world_models").Observables(dataset)
    assert len(seen.codes) == 2**6
    assert np.exp(seen.true).sum() == pytest.approx(1)
    assert seen.divergence(dataset.net) == 0
    head = plan_training(dataset, "world_model", "likelihood").build_stepping(0)
    clips = dataset.simulate(50_000, 0)
    clips[:, [i for v, i in dataset.net.index.items() if v not in dataset.roles["observed"]]] = UNOBSERVED
    ratio = wn.Inference(dataset.net).log_evidence(clips) - wn.Inference(head.net).log_evidence(clips)
    assert seen.divergence(head.net) == pytest.approx(ratio.mean() / math.log(2), rel=0.02)


def test_steps_are_timed_for_every_objective(benchmark):
    module = benchmark("world_models")
    text = module.step_times(repeats=1, frames=2, batch=4)
    assert all(f"| `{objective}` |" in text for objective in module.OBJECTIVES)


def test_planted_models_are_searched_for_and_reported_one_by_one(benchmark):
    module = benchmark("recovery")
    lines = module.table(1, ["medium noise", "zero-one-random"], clips=60, test_clips=200, restarts=2)
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["medium noise", "zero-one-random"]
    net = module.medium()
    found = module.search(net, 0, clips=400, test_clips=500, restarts=3)
    assert -0.002 < found.excess < module.FOUND < found.memoryless
    codes = module.hidden_clips(net, 30, 5, 0)
    assert (codes[:, :, 0] == -1).all()
    assert (codes[:, :, 1] >= 0).all()
    # A step is a step: the plain ones climb as those of the search do, from the same start.
    again = module.reestimate(net, module.wn.TemporalInference(net).expected_counts(codes))
    assert module.our_steps(net, codes, 2) == pytest.approx(
        module.wn.TemporalInference(again).log_evidence(codes).sum()
    )


def test_a_synthetic_run_directory_is_finished_and_a_process_reports_its_own_memory(benchmark, tmp_path):
    from probes.results import load
    from probes.store import Store
    from probes.worklist import cells_of

    running = benchmark("running")
    run = running.synthetic(tmp_path, 20)
    store = Store.open(run)
    assert [condition.count for condition in store.conditions] == [10, 10]
    assert not store.missing(cells_of(store.conditions))
    assert set(load(run).verdicts["seeds"]) == {80}
    small, large = (running.cost([sys.executable, "-c", f"x = b'x' * {n}"]) for n in (10, 200_000_000))
    assert 150 < large.memory - small.memory < 250
    with pytest.raises(SystemExit, match="failed"):
        running.cost([sys.executable, "-c", "raise SystemExit(3)"])
