"""Equal rows, asked about once."""

import numpy as np

from worldnets.distinct import distinct


def test_distinct_rows_come_back_from_their_places_however_wide_the_evidence():
    codes = np.random.default_rng(0).integers(-1, 3, size=(500, 60)).astype(np.int16)
    codes[250:] = codes[:250]
    unique, where = distinct(codes)
    assert len(unique) == 250
    np.testing.assert_array_equal(unique[where], codes)
