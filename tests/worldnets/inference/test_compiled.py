"""Kernels are one source: as plain Python they give the same bits, and compiled code is told apart by content."""

import subprocess
import sys

import numpy as np

from worldnets import read_net
from worldnets.inference import UNOBSERVED, Inference, answer, bucket_tree, simulate
from worldnets.inference.compiled import interpreted
from worldnets.public_nets import public_nets

NEEDS = ("worldnets.inference.bucket_tables", "worldnets.inference.elimination")


def test_the_bucket_tree_gives_the_same_bits_as_plain_python(monkeypatch):
    plain = interpreted("worldnets.inference.bucket_tree", *NEEDS)
    assert not hasattr(plain.posteriors, "py_func")
    assert hasattr(bucket_tree.posteriors, "py_func")
    assert sys.modules["worldnets.inference.bucket_tree"] is bucket_tree
    for name in ("alarm", "asia"):
        net = read_net(public_nets()[name])
        codes = simulate(net, 4, seed=1).copy()
        codes[np.random.default_rng(2).random(codes.shape) > 0.4] = UNOBSERVED
        soft = {net.variables[3]: np.random.default_rng(3).random((4, len(net.states[net.variables[3]])))}
        compiled = Inference(net).query(codes, likelihood=soft)
        with monkeypatch.context() as patch:
            patch.setattr(answer, "_plain_bucket_tree", lambda work, dtype: plain)
            walked = Inference(net).query(codes, likelihood=soft)
        assert (compiled.table == walked.table).all()
        assert (compiled.log_evidence == walked.log_evidence).all()
        assert (compiled.multiply_adds == walked.multiply_adds).all()


def test_a_first_small_question_loads_no_compiler():
    program = (
        "import sys, numpy as np, worldnets as wn\n"
        "net = wn.load_dataset('alarm').net\n"
        "codes = np.full((1, len(net.variables)), -1, np.int16)\n"
        "assert wn.Inference(net).query(codes).possible.all()\n"
        "assert 'numba' not in sys.modules\n"
        "assert wn.Inference(net).query(np.repeat(codes, 99, 0)).possible.all()\n"
        "assert 'numba' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_small_tables_that_make_large_cliques_are_compiled():
    program = (
        "import sys, numpy as np, worldnets as wn\n"
        "names = [f'{i}_{j}' for i in range(12) for j in range(12)]\n"
        "pairs = [(f'{i}_{j}', f'{i + a}_{j + b}') for i in range(12) for j in range(12)\n"
        "         for a, b in ((0, 1), (1, 0)) if i + a < 12 and j + b < 12]\n"
        "table = np.array([[2.0, 1.0], [1.0, 2.0]])\n"
        "grid = wn.FactorNet(dict.fromkeys(names, (0, 1)), tuple((pair, table) for pair in pairs))\n"
        "beliefs = wn.Inference(grid).query(np.full((1, 144), -1, np.int16))\n"
        "assert np.allclose(beliefs['5_5'], 0.5, atol=1e-12)\n"
        "assert 'numba' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
