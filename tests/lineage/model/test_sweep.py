"""Search spaces: what they may say, and which configurations come out of them."""

import itertools
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.model.errors import InvalidMetadata, UnsupportedError, UsageError
from lineage.model.sweep import Space


def space(method: str = "random", **parameters: object) -> Space:
    return Space.of({"method": method, "parameters": parameters})


def drawn(stated: dict[str, Any], times: int = 300) -> list[Any]:
    """The first values of a parameter that is searched at random."""
    found = space(x=stated)
    return [(found.configuration(number, 7) or {})["x"] for number in range(times)]


def test_a_grid_is_the_product() -> None:
    """Every combination once, the last parameter in the order of names fastest, and then nothing."""
    grid = space("grid", b={"values": ["x", "y"]}, a={"min": 1, "max": 3}, c={"value": 0.5}, d=7)
    expected = [{"a": a, "b": b, "c": 0.5, "d": 7} for a, b in itertools.product((1, 2, 3), "xy")]

    assert expected == [grid.configuration(number, 0) for number in range(6)]
    assert (6, None, None) == (grid.size, grid.configuration(6, 0), grid.configuration(10**30, 0))


def test_a_grid_has_no_two_equal_points() -> None:
    """A value listed twice is one; values that only compare equal are two."""
    assert 1 == space("grid", a={"values": [3, 3, 3]}).size
    assert [1, 1.0, True, "1"] == [(space("grid", a={"values": [1, 1.0, True, "1", 1]}).configuration(n, 0) or {})["a"] for n in range(4)]


@pytest.mark.fault("M03")
@pytest.mark.parametrize("bounds", [{"min": -(2**63), "max": 2**63 - 1}, {"distribution": "q_uniform", "min": 0, "max": 10**15, "q": 1e-3}])
def test_a_huge_range_costs_nothing(bounds: dict[str, Any]) -> None:
    """A grid over more numbers than there is memory for hands them out one by one."""
    tracemalloc.start()
    grid = space("grid", a=bounds, b={"values": [1, 2]})
    assert grid.size is not None
    assert 10**18 <= grid.size
    assert bounds["min"] == (grid.configuration(0, 0) or {})["a"]
    assert grid.configuration(grid.size - 1, 0) is not None
    assert grid.configuration(grid.size, 0) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1_000_000 > peak


def test_a_cap_ends_a_search() -> None:
    """`run_cap` ends a grid early and a random search at all."""
    for method, size in (("grid", 2), ("random", 2)):
        found = Space.of({"method": method, "run_cap": 2, "parameters": {"a": {"values": [1, 2, 3]}}})
        assert (size, None) == (found.size, found.configuration(2, 0))
    assert 3 == Space.of({"method": "grid", "run_cap": 9, "parameters": {"a": {"values": [1, 2, 3]}}}).size
    assert space(a={"values": [1]}).size is None


@given(st.integers(0, 10**6), st.integers())
def test_a_search_is_a_function_of_seed_and_number(number: int, seed: int) -> None:
    """Two agents that ask for the same number get the same configuration, and order of the parameters means nothing."""
    one = space(a={"min": 0.0, "max": 1.0}, b={"values": [1, 2, 3]}, c={"distribution": "normal"})
    two = space(c={"distribution": "normal"}, b={"values": [1, 2, 3]}, a={"min": 0.0, "max": 1.0})
    assert one.configuration(number, seed) == two.configuration(number, seed)


def test_seeds_and_numbers_differ() -> None:
    """Other numbers and other seeds give other points."""
    found = space(a={"min": 0.0, "max": 1.0})
    assert 40 == len({str(found.configuration(number, seed)) for number in range(20) for seed in (1, 2)})


BOUNDS = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(sorted)


@given(BOUNDS, st.integers(0, 50))
def test_uniform(bounds: list[float], number: int) -> None:
    """Within its bounds, and a float."""
    found = (space(x={"min": bounds[0], "max": bounds[1]}).configuration(number, 1) or {})["x"]
    assert isinstance(found, float)
    assert bounds[0] <= found <= bounds[1]


@given(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)).map(sorted), st.integers(0, 50))
def test_int_uniform(bounds: list[int], number: int) -> None:
    """Within its bounds, both included, and whole."""
    found = (space(x={"min": bounds[0], "max": bounds[1]}).configuration(number, 1) or {})["x"]
    assert isinstance(found, int)
    assert bounds[0] <= found <= bounds[1]


@given(st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9)).map(sorted), st.integers(0, 50))
def test_log_uniform_values(bounds: list[float], number: int) -> None:
    """Within its bounds, also where a logarithm and its power do not cancel."""
    found = (space(x={"distribution": "log_uniform_values", "min": bounds[0], "max": bounds[1]}).configuration(number, 1) or {})["x"]
    assert bounds[0] <= found <= bounds[1]


@given(
    st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)).map(sorted),
    st.sampled_from([1, 2, 4, 0.1, 0.25, 7.5, 1e-3]),
    st.integers(0, 50),
)
def test_q_uniform(bounds: list[int], step: float, number: int) -> None:
    """Multiples of q within the bounds, as a draw and as a grid, where there are any."""
    stated = {"distribution": "q_uniform", "min": bounds[0], "max": bounds[1], "q": step}
    if math.ceil(bounds[0] / step - 1e-9) > math.floor(bounds[1] / step + 1e-9):
        with pytest.raises(UsageError, match="no multiple"):
            space(x=stated)
        return
    for method in ("random", "grid"):
        found = (space(method, x=stated).configuration(0 if method == "grid" else number, 1) or {})["x"]
        assert bounds[0] <= found <= bounds[1]
        assert abs(found / step - round(found / step)) < 1e-6


def test_quantized_values_are_clean() -> None:
    """No dust of binary fractions, and whole numbers for whole steps."""
    grid = space("grid", x={"distribution": "q_uniform", "min": 0.1, "max": 0.7, "q": 0.1})
    assert [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] == [(grid.configuration(number, 0) or {})["x"] for number in range(7)]
    assert all(isinstance(value, int) and value % 4 == 0 for value in drawn({"distribution": "q_normal", "mu": 5, "sigma": 20, "q": 4}))


def test_normal_log_normal_and_log_uniform() -> None:
    """Numbers around the stated centre; powers are positive; log_uniform's bounds are exponents."""
    assert 100 < sum(drawn({"distribution": "normal", "mu": 110, "sigma": 2})) / 300 < 120
    assert all(value > 0 for value in drawn({"distribution": "log_normal", "mu": 0, "sigma": 3}))
    assert all(math.exp(-3) <= value <= math.exp(2) for value in drawn({"distribution": "log_uniform", "min": -3, "max": 2}))
    assert {5.0} == set(drawn({"distribution": "normal", "mu": 5, "sigma": 0}))


def test_values_and_their_probabilities() -> None:
    """Values are drawn as often as they are said to be; one of probability 0 never is."""
    found = drawn({"values": ["a", "b", "c"], "probabilities": [0.9, 0.1, 0]})
    assert {"a", "b"} == set(found)
    assert found.count("a") > found.count("b")


BAD: list[tuple[str, object]] = [
    ("'lr'", {"values": []}),
    ("'lr'", {"values": "abc"}),
    ("'lr'", {"values": [1, 2], "probabilities": [1]}),
    ("'lr'", {"values": [1, 2], "probabilities": [0, 0]}),
    ("'lr'", {"values": [1, 2], "probabilities": [2, -1]}),
    ("'lr'", {"values": [1, 2], "probabilities": ["a", "b"]}),
    ("'lr'", {"values": [1, 2], "probabilities": 3}),
    ("'lr'", {"min": 1}),
    ("'lr'", {"min": 1, "max": 2.5}),
    ("'lr'", {"min": 2, "max": 1}),
    ("'lr'", {"min": "1", "max": "2"}),
    ("'lr'", {"min": True, "max": False}),
    ("'lr'", {}),
    ("'lr'", {"vaule": 3}),
    ("'lr'", {"parameters": {}}),
    ("beta", {"distribution": "beta"}),
    ("'lr'", {"distribution": "int_uniform", "min": 0.5, "max": 2.5}),
    ("'lr'", {"distribution": "uniform", "min": 0}),
    ("'lr'", {"distribution": "log_uniform_values", "min": 0, "max": 1}),
    ("'lr'", {"distribution": "log_uniform", "min": 0, "max": 10_000}),
    ("'lr'", {"distribution": "log_normal", "mu": 10_000}),
    ("'lr'", {"distribution": "normal", "sigma": -1}),
    ("'lr'", {"distribution": "normal", "mu": "x"}),
    ("'lr'", {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}),
    ("'lr'", {"distribution": "q_uniform", "min": 0, "max": 1, "q": -1}),
    ("'lr'", {"distribution": "q_uniform", "min": 0, "max": 1e300, "q": 1e-300}),
    ("'lr'", {"distribution": "q_normal", "q": "x"}),
    ("'lr'", {"distribution": "q_uniform", "min": 1, "max": 2, "q": 5}),
]


@pytest.mark.parametrize(("named", "stated"), BAD, ids=repr)
@pytest.mark.parametrize("method", ["grid", "random"])
def test_bad_parameters_are_refused_by_name(method: str, named: str, stated: object) -> None:
    """What nothing can be drawn from is refused when the sweep is made, not when an agent asks."""
    with pytest.raises(UsageError, match=named):
        space(method, lr=stated)


@pytest.mark.parametrize(
    "stated", [{"min": 0.0, "max": 1.0}, {"distribution": "normal"}, {"distribution": "log_uniform_values", "min": 1, "max": 2}]
)
def test_a_grid_needs_discrete_values(stated: object) -> None:
    """A grid over a continuum is refused, naming the parameter."""
    with pytest.raises(UsageError, match=r"'lr'.*discrete"):
        space("grid", lr=stated)


@pytest.mark.parametrize(
    ("config", "error", "named"),
    [
        ({"method": "bayes", "parameters": {"a": 1}}, UnsupportedError, "bayes"),
        ({"method": "gird", "parameters": {"a": 1}}, UsageError, "gird"),
        ({"parameters": {"a": 1}}, UsageError, "method"),
        ({"method": "grid"}, UsageError, "parameters"),
        ({"method": "grid", "parameters": {}}, UsageError, "parameters"),
        ({"method": "grid", "parameters": [1]}, UsageError, "parameters"),
        ({"method": "grid", "parameters": {"a": 1}, "metric": "loss"}, UsageError, "loss"),
        ({"method": "grid", "parameters": {"a": 1}, "metric": {"goal": "minimize"}}, UsageError, "metric"),
        ({"method": "grid", "parameters": {"a": 1}, "metric": {"name": "loss", "goal": "best"}}, UsageError, "best"),
        ({"method": "grid", "parameters": {"a": 1}, "run_cap": 0}, UsageError, "run_cap"),
        ({"method": "grid", "parameters": {"a": 1}, "run_cap": True}, UsageError, "run_cap"),
        ({"method": "grid", "parameters": {"a": 1}, "run_cap": "3"}, UsageError, "run_cap"),
        ({"method": "grid", "parameters": {"a": {"values": [math.nan]}}}, InvalidMetadata, "nan"),
        ("method: grid", InvalidMetadata, "JSON"),
        (None, UsageError, "method"),
        ([1], InvalidMetadata, "list"),
    ],
    ids=repr,
)
def test_bad_sweeps_are_refused_by_name(config: object, error: type[Exception], named: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(error, match=named):
        Space.of(config)
