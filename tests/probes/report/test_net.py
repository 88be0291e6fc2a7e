import re

from probes.report.net import net_markup
from worldnets.dataset import load_dataset


def test_every_variable_and_arrow_of_a_net_is_drawn_and_said():
    net = load_dataset("alarm").net
    svg = net_markup(net, {"evidence": ["HRBP"], "target": ["LVFAILURE"], "latent": ["HR"]}, "<b>alarm")
    assert [v for v in net.variables if f">{v}</text>" not in svg] == []
    heads = re.search(r'class="head" d="([^"]*)"', svg)[1]
    assert heads.count("M") == sum(len(net.parents(v)) for v in net.variables)
    assert svg.count('class="n target"') == 2  # the variable, and its sign in the key
    assert "37 variables, 46 arrows" in svg
    assert "Target: LVFAILURE." in svg
    assert "<b>" not in svg


def test_a_clip_is_drawn_frame_by_frame():
    net = load_dataset("vault", frames=3).net
    svg = net_markup(net, {}, "vault")
    assert re.findall(r">frame (\d)<", svg) == ["1", "2", "3"]
    box = [float(n) for n in re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups()]
    places = [tuple(map(float, m)) for m in re.findall(r'class="n" x="(-?\d+)" y="(-?\d+)"', svg)]
    assert len(places) == len(net.variables)
    assert all(0 <= x <= box[0] and 0 <= y <= box[1] for x, y in places)
