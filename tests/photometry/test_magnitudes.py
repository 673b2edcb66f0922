"""The formulas against plain arithmetic on real measurements, and what they must never do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.photometry.magnitudes import (
    Flux,
    difference_to_apparent,
    forced_to_apparent,
    njy_to_ab,
    total_flux,
)


def arrays(*values: float) -> list[np.ndarray]:
    return [np.array([value], dtype=float) for value in values]


def test_a_star_that_became_fainter():
    """ZTF19aainpua: reference 18.238 +- 0.018, difference 19.919 +- 0.198, negative.

    10^(-0.4 * 18.238) = 5.0676e-8, 10^(-0.4 * 19.9195) = 1.0770e-8: 3.9906e-8 is left, magnitude 18.4974;
    errors 9.122e-10 and 2.1353e-9 make 2.3220e-9, over 3.9906e-8: 0.0582 (each error is a flux error but
    for the factor 1.0857, which cancels).
    """
    mag, magerr = difference_to_apparent(
        *arrays(-1, 19.919450759887695, 0.19826380908489227, 18.238000869750977, 0.017999999225139618)
    )
    assert mag[0] == pytest.approx(18.4974, abs=1e-4)
    assert magerr[0] == pytest.approx(0.0582, abs=1e-4)


def test_a_star_that_became_brighter():
    """ZTF17aaajnnn: 16.426 + 18.362: 2.6891e-7 + 4.5212e-8 = 3.1412e-7: 16.2573."""
    mag, magerr = difference_to_apparent(
        *arrays(1, 18.36185646057129, 0.09404050558805466, 16.426000595092773, 0.014999999664723873)
    )
    assert mag[0] == pytest.approx(16.2573, abs=1e-4)
    assert magerr[0] == pytest.approx(
        math.hypot(2.6893e-7 * 0.015, 4.5213e-8 * 0.09404) / 3.1414e-7, rel=1e-3
    )


def test_forced_photometry():
    """ZTF19aainpua, 2460225.9424769: -465.608 +- 27.220 DN on a star of 17.805 +- 0.019, zero 26.1816.

    10^(0.4 * (26.1816 - 17.805)) = 2242.02 DN; less 465.608 is 1776.41 DN: 26.1816 - 8.1239 = 18.0577.
    The reference's error is 2242.02 * 0.019 / 1.0857 = 39.23 DN; with 27.220 that makes 47.75;
    1.0857 * 47.75 / 1776.41 = 0.0292.
    """
    mag, magerr = forced_to_apparent(
        *arrays(
            -465.6083984375, 27.219640731811523, 26.18160057067871, 17.80500030517578, 0.01899999938905239
        )
    )
    assert mag[0] == pytest.approx(18.0577, abs=1e-4)
    assert magerr[0] == pytest.approx(0.0292, abs=1e-4)


@given(
    st.sampled_from([-1.0, 1.0]),
    st.floats(13.0, 21.0),
    st.floats(0.001, 0.3),
    st.floats(12.0, 20.0),
    st.floats(0.001, 0.1),
)
def test_errors_add_in_quadrature_and_so_always_exist(sign, magpsf, sigmapsf, magnr, sigmagnr):
    """Regression: a well-known broker subtracts the terms, and the root of a negative number is no error."""
    mag, magerr = difference_to_apparent(*arrays(sign, magpsf, sigmapsf, magnr, sigmagnr))
    reference, difference = 10 ** (-0.4 * magnr), 10 ** (-0.4 * magpsf)
    left = reference + sign * difference
    if left <= 0.0:
        assert math.isnan(mag[0])
        assert math.isnan(magerr[0])
        return
    assert magerr[0] >= max(reference * sigmagnr, difference * sigmapsf) / left * (1.0 - 1e-12)
    assert magerr[0] == pytest.approx(math.hypot(reference * sigmagnr, difference * sigmapsf) / left)


def test_lsst_magnitudes():
    """1 nJy is 31.4; 1000 nJy 7.5 magnitudes brighter; 10 % is 0.1086 mag."""
    mag, magerr = njy_to_ab(
        Flux(np.array([1.0, 1000.0, 0.0, -5.0, math.nan]), np.array([0.1, 100.0, 1, 1, 1]))
    )
    assert mag[:2] == pytest.approx([31.4, 23.9])
    assert magerr[:2] == pytest.approx([0.10857, 0.10857], abs=1e-5)
    assert np.isnan(mag[2:]).all()
    assert np.isnan(magerr[2:]).all()


def test_the_science_flux_counts_before_template_plus_difference():
    nan = math.nan
    science = Flux(np.array([100.0, nan, nan, 100.0]), np.array([2.0, nan, nan, nan]))
    difference = Flux(np.array([30.0, 30.0, 30.0, 30.0]), np.array([3.0, 3.0, 3.0, 3.0]))
    template = Flux(np.array([60.0, 60.0, nan, 60.0]), np.array([4.0, 4.0, 4.0, nan]))
    total = total_flux(science, difference, template)
    np.testing.assert_allclose(total.value, [100.0, 90.0, nan, 90.0])
    np.testing.assert_allclose(total.error[[0, 1, 3]], [2.0, 5.0, 3.0])
