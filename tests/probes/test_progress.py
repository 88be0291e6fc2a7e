"""What a run says of how far it is."""

import io
import re
import time

from rich.console import Console

from probes.progress import Lines, Live, duration
from probes.worklist import cells_of
from tests.fake_cells import conditions, store


def test_a_terminal_shows_cells_at_work_and_how_much_longer_all_of_them_take(tmp_path):
    run, cells = store(tmp_path / "run"), cells_of(conditions())
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    live = Live(console)
    with live.watching(run, total=4, reused=2, jobs=1):
        run.tell(cells[0].key, {"name": cells[0].name, "step": 50, "steps": 100, "loss": 0.25})
        time.sleep(1.2)
        live.finished(cells[1], "ValueError: [planted]", 1.0)
        time.sleep(0.7)
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    assert cells[0].name in said
    assert "loss 0.250 bits" in said
    assert said.count("about ") >= 2
    assert "2 already there" in said
    assert "ValueError: [planted]" in said


def test_a_log_has_a_line_for_each_cell_with_the_time_left():
    stream, cells = io.StringIO(), cells_of(conditions())
    lines = Lines(stream)
    with lines.watching(None, total=2, reused=1, jobs=4):
        lines.finished(cells[0], None, 1.0)
        lines.finished(cells[1], "ValueError: planted", 1.0)
    first, second, third = stream.getvalue().splitlines()
    assert first == "2 cells to do, 1 already there; 2 at a time"
    assert second.startswith(f"[1/2] {cells[0].name}: done in 1.0 s; about 0.0 s left")
    assert third == f"[2/2] {cells[1].name}: FAILED, ValueError: planted"


def test_durations_are_told_in_two_units_at_most():
    assert [duration(seconds) for seconds in (4.24, 190, 7500)] == ["4.2 s", "3 min 10 s", "2 h 5 min"]
