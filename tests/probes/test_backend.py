"""Workers and their threads: together never more than there are cores."""

import os

import pytest

from probes import backend
from probes.backend import Processes, threads_each


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
def test_jobs_times_threads_are_never_more_than_the_cores(monkeypatch, cores):
    monkeypatch.setattr(backend, "cores", lambda: cores)
    for jobs in range(1, 2 * cores + 2):
        assert threads_each(jobs) >= 1
        assert jobs * threads_each(jobs) <= max(cores, jobs)
        assert (jobs * (threads_each(jobs) + 1) > cores) or jobs > cores  # nor fewer than would fit


@pytest.mark.parametrize("jobs", [1, 2])
def test_libraries_in_a_worker_keep_to_its_share_of_the_cores(jobs, reported):
    from thread_report import threads

    with Processes(jobs).workers(jobs) as executor:
        found = executor.submit(threads).result()
    share = threads_each(jobs)
    assert (found["numba"], found["blas"], found["ours"]) == (share, {share}, share)
    assert found["xla"] < share + 0.3
    assert share * jobs <= max(jobs, os.cpu_count())
