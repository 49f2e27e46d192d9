import networkx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.errors import Error
from unmask.roots.energies.coloring import coloring_order, greedy_coloring
from unmask.roots.energies.graph import make_graph

NODES = 12
some_pairs = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)).filter(lambda pair: pair[0] != pair[1]), max_size=60
)


def made(pairs):
    return make_graph(torch.tensor(pairs).reshape(-1, 2), torch.arange(len(pairs)) + 1.0, NODES)


def peer(pairs):
    graph = networkx.Graph()
    graph.add_nodes_from(range(NODES))
    for k, (i, j) in enumerate(pairs):
        before = graph.edges[i, j]["weight"] if graph.has_edge(i, j) else 0
        graph.add_edge(i, j, weight=before + k + 1.0)
    return graph


@given(some_pairs)
def test_the_graph_has_the_pairs_and_summed_weights_of_networkx(pairs):
    graph, weights = made(pairs)
    theirs = peer(pairs)
    ours = {tuple(pair): w for pair, w in zip(graph.pairs.tolist(), weights.tolist(), strict=True)}
    assert ours == {tuple(sorted(pair)): w for *pair, w in theirs.edges(data="weight")}
    assert graph.degrees.tolist() == [theirs.degree(i) for i in range(NODES)]


@given(some_pairs, st.lists(st.integers(0, NODES - 1), max_size=5))
def test_rows_of_nodes_are_their_neighbours_with_their_pairs(pairs, nodes):
    graph, _ = made(pairs)
    rows = graph.of(torch.tensor(nodes, dtype=torch.int64))
    for k, node in enumerate(nodes):
        part = slice(int(rows.starts[k]), int(rows.starts[k + 1]))
        assert rows.neighbours[part].tolist() == sorted(peer(pairs).neighbors(node))
        for neighbour, pair in zip(rows.neighbours[part].tolist(), rows.pairs[part].tolist(), strict=True):
            assert graph.pairs[pair].tolist() == sorted((node, neighbour))


def is_proper(graph, colour):
    """No two neighbours share a colour."""
    low, high = graph.pairs.unbind(1)
    return bool((colour[low] != colour[high]).all())


@given(some_pairs)
def test_colouring_in_rounds_is_the_sequential_greedy_colouring(pairs):
    graph, _ = made(pairs)
    colour = greedy_coloring(graph)
    order = coloring_order(graph).tolist()
    theirs = networkx.greedy_color(peer(pairs), strategy=lambda *_: order)
    assert colour.tolist() == [theirs[i] for i in range(NODES)]
    assert is_proper(graph, colour) and colour.max() <= graph.degrees.max()
    degrees = graph.degrees[order].tolist()
    assert degrees == sorted(degrees, reverse=True)


@pytest.mark.parametrize(
    ("pairs", "colours"),
    [
        (torch.combinations(torch.arange(9)), 9),
        (torch.stack([torch.arange(5000), torch.arange(1, 5001)], 1), 3),
        (torch.stack([torch.zeros(50, dtype=torch.int64), torch.arange(1, 51)], 1), 2),
        (torch.empty(0, 2, dtype=torch.int64), 1),
    ],
    ids=["complete: each node a colour of its own", "a long path", "a star", "no pairs"],
)
def test_known_graphs_get_as_many_colours_as_they_should(pairs, colours):
    graph, _ = make_graph(pairs, torch.ones(len(pairs)), 5001)
    colour = greedy_coloring(graph)
    assert is_proper(graph, colour) and int(colour.max()) + 1 <= colours


@pytest.mark.parametrize(
    ("pairs", "message"),
    [([[0, 0]], "to itself"), ([[0, 12]], "outside 0..11"), ([[-1, 2]], "outside"), ([[0]], "R, 2")],
)
def test_what_is_no_graph_is_refused(pairs, message):
    with pytest.raises(Error, match=message):
        make_graph(torch.tensor(pairs), torch.ones(len(pairs)), NODES)
