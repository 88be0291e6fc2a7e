"""PyTorch's side of `seeds.py`, run by a Python that has it: seed after seed, one training loop each.

Reads rows and first parameters from the file named, says which version and form of training it uses, and then, for
every number of steps read from standard input, trains all seeds so long and answers with seconds, seconds of processors
and losses in bits [steps, seeds].
"""

from __future__ import annotations

import json
import math
import sys
import time

import numpy as np
import torch

TRIAL = 150  # steps by which the fastest form is found
FORMS = {"one by one": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def main() -> None:
    """Train as asked, line by line."""
    with np.load(sys.argv[1]) as rows:
        features, outcomes = torch.from_numpy(rows["features"]), torch.from_numpy(rows["outcomes"]).float()[..., None]
        layers = [(rows[f"weight{i}"], rows[f"bias{i}"]) for i in range(3)]

    def train(steps: int, form: str) -> tuple[float, torch.Tensor]:
        losses = torch.empty(len(features), steps)
        begun = time.perf_counter()
        for seed in range(len(features)):
            modules: list[torch.nn.Module] = []
            for weight, bias in layers:
                linear = torch.nn.Linear(weight.shape[2], weight.shape[1])
                with torch.no_grad():
                    linear.weight.copy_(torch.from_numpy(weight[seed]))
                    linear.bias.copy_(torch.from_numpy(bias[seed]))
                modules += [linear, torch.nn.ReLU()]
            net = torch.nn.Sequential(*modules[:-1])
            optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, **FORMS[form])
            criterion = torch.nn.BCEWithLogitsLoss()
            for step in range(steps):
                optimizer.zero_grad()
                loss = criterion(net(features[seed, step]), outcomes[seed, step])
                loss.backward()
                optimizer.step()
                losses[seed, step] = loss.detach()
        return time.perf_counter() - begun, losses

    trials: dict[tuple[float, int, str], None] = {}
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        for form in FORMS:
            train(10, form)
            trials[train(min(TRIAL, features.shape[1]), form)[0], threads, form] = None
    _, threads, form = min(trials)
    torch.set_num_threads(threads)
    hello = {"version": torch.__version__, "form": f"{form} Adam on {threads} thread{'s' if threads > 1 else ''}"}
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        before = time.process_time()
        seconds, losses = train(int(line), form)
        answer = {"seconds": seconds, "processors": time.process_time() - before}
        print(json.dumps({**answer, "losses": (losses / math.log(2)).T.tolist()}), flush=True)


if __name__ == "__main__":
    main()
