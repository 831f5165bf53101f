"""Functions and products: right to the last places, and the same bits whatever the CPU and the memory's layout."""

from __future__ import annotations

import math
from collections.abc import Callable

import cpu_kinds
import exact_operations
import numpy as np
import pytest

from synth.exact_math import arctan2, cos, dot, exp, hypot, log, log2, norm, power, product, sin

RNG = np.random.default_rng(5)
WIDE = RNG.uniform(-60, 60, 20000)
POSITIVE = np.ldexp(RNG.uniform(0.5, 1, 20000), RNG.integers(-100, 100, 20000))
SHARE = np.concatenate([RNG.uniform(0, 1, 20000), [0.0, 1.0]])


def apart(found: np.ndarray, expected: np.ndarray, scale: np.ndarray | float = 1.0) -> float:
    """The largest difference, in units of `scale`."""
    return float(np.abs((found - expected) / scale).max())


def test_functions_agree_with_the_c_library() -> None:
    assert apart(exp(WIDE), np.exp(WIDE), np.exp(WIDE)) < 4e-15
    assert apart(log(POSITIVE), np.log(POSITIVE), np.maximum(np.abs(np.log(POSITIVE)), 1e-3)) < 1e-15
    assert apart(log2(POSITIVE), np.log2(POSITIVE), np.maximum(np.abs(np.log2(POSITIVE)), 1e-3)) < 1e-15
    for function, reference in ((sin, np.sin), (cos, np.cos)):
        assert apart(function(WIDE * 100), reference(WIDE * 100)) < 2e-15
    assert apart(arctan2(WIDE, WIDE[::-1]), np.arctan2(WIDE, WIDE[::-1])) < 2e-15
    assert apart(hypot(WIDE, WIDE[::-1]), np.hypot(WIDE, WIDE[::-1]), 60.0) < 1e-15
    for exponent in (0.45, 1.0, 2.2, 24.0):
        assert apart(power(SHARE, exponent), SHARE**exponent) < 4e-15


def test_special_values() -> None:
    assert exp(0.0) == 1.0
    assert exp(-1e30) < 1e-300
    assert log(1.0) == 0.0
    assert (sin(0.0), cos(0.0)) == (0.0, 1.0)
    assert power(0.0, 0.3) == 0.0
    assert power(1.0, 0.3) == 1.0
    assert arctan2(0.0, 0.0) == 0.0
    assert arctan2(-0.0, 1.0) == arctan2(0.0, 1.0) == 0.0
    assert arctan2(0.0, -1.0) == arctan2(-0.0, -1.0) == np.pi
    assert arctan2([1.0, -1.0], [0.0, 0.0]).tolist() == [np.pi / 2, -np.pi / 2]


@pytest.mark.parametrize(
    "function", [exp, sin, cos, lambda x: power(np.abs(x), 1.7), lambda x: arctan2(x, 0.3)]
)
def test_single_precision_is_double_precision_rounded_once(
    function: Callable[[np.ndarray], np.ndarray],
) -> None:
    single = WIDE.astype(np.float32)
    found = function(single)
    assert found.dtype == np.float32
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, function(single.astype(np.float64)).astype(np.float32))


def test_plain_numbers_are_double_and_take_on_the_precision_beside_them() -> None:
    assert sin(0.5) == pytest.approx(math.sin(0.5), abs=1e-16)
    assert np.asarray(sin(0.5)).dtype == np.float64
    assert np.asarray(exp([1, 2])).dtype == np.float64
    assert power(np.float32([0.5]), 2.2).dtype == np.float32
    assert power(np.float32([0.5]), np.array([2.2])).dtype == np.float64
    assert sin(np.zeros((2, 0, 3), np.float32)).shape == (2, 0, 3)
    assert power(SHARE[:6].reshape(2, 3), SHARE[:3]).shape == (2, 3)


def test_products_agree_with_blas() -> None:
    points, matrix = RNG.normal(size=(50, 4, 3)), RNG.normal(size=(3, 5))
    np.testing.assert_allclose(product(points, matrix), points @ matrix, rtol=0, atol=1e-14)
    np.testing.assert_allclose(product(points, matrix[:, 0]), points @ matrix[:, 0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(product(matrix[:, 0], matrix), matrix[:, 0] @ matrix, rtol=0, atol=1e-14)
    np.testing.assert_allclose(dot(points, points[0]), (points * points[0]).sum(-1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(norm(points), np.linalg.norm(points, axis=-1), rtol=1e-15)


def test_a_product_is_summed_first_to_last() -> None:
    # 2**24 + 1 is no float32: the order of the sum shows in the result.
    row = np.float32([2**24, 1, -(2**24), 1])
    assert dot(row, np.ones(4, np.float32)) == 1
    assert product(row[None], np.ones((4, 1), np.float32)) == 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_neither_layout_nor_company_matters(kind: type) -> None:
    points, matrix = RNG.normal(size=(1001, 3)).astype(kind), RNG.normal(size=(3, 3)).astype(kind)
    whole, lengths, waves = product(points, matrix), norm(points), sin(points)
    for i in (0, 7, 1000):
        np.testing.assert_array_equal(product(points[i], matrix), whole[i])
        np.testing.assert_array_equal(sin(points[i]), waves[i])
    turned = np.asfortranarray(points)
    np.testing.assert_array_equal(product(turned, np.asfortranarray(matrix)), whole)
    np.testing.assert_array_equal(norm(turned), lengths)
    np.testing.assert_array_equal(sin(turned[::-2]), waves[::-2])


def test_another_kind_of_cpu_gives_the_same_bits() -> None:
    there = cpu_kinds.run(cpu_kinds.NOTHING_BUT_SSE, exact_operations.__file__)
    assert there == exact_operations.digests()
