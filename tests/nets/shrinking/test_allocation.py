"""The shares of groups against all that could be chosen."""

from itertools import product as combinations

import torch
from hypothesis import given
from hypothesis import strategies as st

from cofire.nets.shrinking.allocation import Lot, allocate
from cofire.nets.shrinking.elimination import Elimination
from cofire.nets.shrinking.free_groups import Free, Term
from cofire.nets.wiring.dimensions import Dimension


def group(name: str, n_units: int) -> Free:
    return Free(name, (name,), n_units, Dimension(n_units), (), (), mixed=False)


def lot(*groups: Free, error: list[float]) -> Lot:
    return Lot(groups, groups[0].n_units, torch.tensor(error, dtype=torch.float64))


def cost(terms: list[Term], lots: list[Lot], sizes: dict[str, int]) -> float:
    by_leaf = {one.leaf: sizes[one.name] for some in lots for one in some.groups}
    return sum(term.cost(by_leaf) for term in terms)


def error(lots: list[Lot], sizes: dict[str, int]) -> float:
    return sum(float(one.error[one.n_units - sizes[one.groups[0].name]]) for one in lots)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Lot], list[Term]]:
    """Convex errors, and a cost that is a sum over groups."""
    found, terms = [], [Term((Dimension(3),), 2.0)]
    for k in range(draw(st.integers(1, 3))):
        n = draw(st.integers(2, 6))
        rises = sorted(draw(st.lists(st.floats(0.01, 10), min_size=n - 1, max_size=n - 1)))
        one = group(f"g{k}", n)
        errors = torch.tensor([0.0, *rises], dtype=torch.float64).cumsum(0)
        found.append(Lot((one,), n, errors))
        terms.append(Term((one.leaf, Dimension(draw(st.integers(1, 4)))), draw(st.sampled_from([1.0, 0.5]))))
    return found, terms


@given(problems(), st.floats(0.0, 1.0))
def test_nothing_as_cheap_errs_less(problem, share):
    """Steps by falling value are the best for what they come to, which is within one step of the budget."""
    lots, terms = problem
    whole = cost(terms, lots, {one.groups[0].name: one.n_units for one in lots})
    sizes = allocate(lots, terms, budget=share * whole)
    reached = cost(terms, lots, sizes)
    others = [
        dict(zip((one.groups[0].name for one in lots), some, strict=True))
        for some in combinations(*(range(1, one.n_units + 1) for one in lots))
    ]
    assert reached <= share * whole + 1e-9 or set(sizes.values()) == {1}
    one_step = max(cost(terms, lots, sizes | {name: n + 1}) - reached for name, n in sizes.items())
    as_cheap = [error(lots, one) for one in others if cost(terms, lots, one) <= share * whole - one_step]
    assert error(lots, sizes) <= min(as_cheap, default=error(lots, sizes)) + 1e-9
    assert reached > share * whole - one_step - 1e-9


@given(problems(), st.floats(0.0, 1.0), st.integers(1, 4))
def test_sizes_are_multiples_of_steps_and_never_under_one(problem, share, step):
    lots, terms = problem
    names = {one.groups[0].name: one.n_units for one in lots}
    sizes = allocate(lots, terms, budget=share * cost(terms, lots, names), steps=dict.fromkeys(names, step))
    for name, n in names.items():
        assert sizes[name] == n or (sizes[name] % step == 0 and 1 <= sizes[name] < n)


def test_groups_of_a_lot_have_one_size():
    a, b, c = group("a", 5), group("b", 5), group("c", 5)
    errors = {name: Elimination(torch.arange(5), torch.tensor([0.0, 1, 2, 3, 4])) for name in "abc"}
    tied = [Lot.of(some, errors) for some in ([a, b], [c])]
    assert tied[0].error.tolist() == [0, 2, 4, 6, 8] and tied[1].error.tolist() == [0, 1, 2, 3, 4]
    terms = [Term((one.leaf,), 1.0) for one in (a, b, c)]
    sizes = allocate(tied, terms, budget=9)
    assert sizes["a"] == sizes["b"] and sum(sizes.values()) <= 9


@given(st.lists(st.integers(2, 9), min_size=2, max_size=4), st.integers(0, 9999), st.floats(0.1, 0.9))
def test_what_a_unit_saves_follows_the_sizes_of_all_others(n_units, seed, share):
    """Weights between groups: a twin counts everything anew at each step."""
    generator = torch.Generator().manual_seed(seed)
    groups = [group(f"g{k}", n) for k, n in enumerate(n_units)]
    found = [
        lot(one, error=[0.0, *torch.rand(one.n_units - 1, generator=generator).cumsum(0).tolist()]) for one in groups
    ]
    pairs = torch.randint(0, len(groups), (4, 2), generator=generator).tolist()
    terms = [Term((groups[a].leaf, groups[b].leaf), 1.0 + k) for k, (a, b) in enumerate(pairs)]
    sizes = {one.name: one.n_units for one in groups}
    budget = share * cost(terms, found, sizes)
    given_sizes = allocate(found, terms, budget=budget)
    while (before := cost(terms, found, sizes)) > budget:
        rates = {}
        for name, n in sizes.items():
            smaller = sizes | {name: n - 1}
            if n > 1 and (saved := before - cost(terms, found, smaller)) > 0:
                rates[name] = (error(found, smaller) - error(found, sizes)) / saved
        if not rates:
            break
        sizes[min(rates, key=rates.__getitem__)] -= 1
    while True:
        rates = {}
        for one, n in zip(groups, n_units, strict=True):
            larger = sizes | {one.name: sizes[one.name] + 1}
            if sizes[one.name] < n and cost(terms, found, larger) <= budget:
                added = cost(terms, found, larger) - cost(terms, found, sizes)
                rates[one.name] = (error(found, sizes) - error(found, larger)) / max(added, 1e-9)
        if not rates:
            break
        sizes[max(rates, key=rates.__getitem__)] += 1
    assert given_sizes == sizes


def test_what_a_large_last_step_took_too_much_is_given_back():
    tied, fine = [group("a", 4), group("b", 4)], group("fine", 16)
    both = [lot(*tied, error=[0.0, 0.1, 1.0, 2.0]), lot(fine, error=[0.0, 0.001, *range(1, 15)])]
    terms = [*(Term((one.leaf,), 10.0) for one in tied), Term((fine.leaf,), 1.0)]
    # One unit of "fine" goes first, then one of the others: 75. Another of the others makes 55, so "fine" has it back.
    assert allocate(both, terms, budget=74) == {"a": 2, "b": 2, "fine": 16}


def test_a_first_unit_that_costs_much_is_looked_past():
    steep, even = group("steep", 32), group("even", 32)
    both = [lot(steep, error=[0.0] + [5.0] * 31), lot(even, error=[2.0 * k for k in range(32)])]
    terms = [Term((steep.leaf,), 1.0), Term((even.leaf,), 1.0)]
    assert allocate(both, terms, budget=60) == {"steep": 28, "even": 32}


def test_groups_that_save_nothing_stay():
    free, useless = group("free", 4), group("useless", 4)
    both = [lot(useless, error=[0.0] * 4), lot(free, error=[0.0, 1, 2, 3])]
    assert allocate(both, [Term((free.leaf,), 1.0)], budget=0) == {"useless": 4, "free": 1}
