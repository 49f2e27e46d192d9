"""Codes of few bytes: the contract of codecs, then what each promises beyond it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.studies.codes.autoencoder import Frame, LinearAndHidden, fit_autoencoder
from benchmarks.studies.codes.codec import cost
from benchmarks.studies.codes.diffusion import ConditionalDenoiser, DiffusionCodec, fit_diffusion
from benchmarks.studies.codes.principal import fit_principal
from benchmarks.studies.codes.product import balanced_rotation, fit_product
from benchmarks.studies.codes.quantise import BITS, latents, pack, straight_through, unpack
from benchmarks.studies.codes.residual import fit_shelves
from benchmarks.studies.energies.forward import noise_levels
from unmask.errors import Error

WIDTH = 32


def cloud(count, seed):
    """Vectors around twelve centres, their variance falling from the first axis to the last."""
    rng = np.random.default_rng(seed)
    falling = np.linspace(1.5, 0.1, WIDTH)
    centres = 1.5 * np.random.default_rng(99).standard_normal((12, WIDTH)) * falling
    return (centres[rng.integers(0, 12, count)] + rng.standard_normal((count, WIDTH)) * falling).astype(np.float32)


LEARN, CODED, QUERIES = cloud(1500, 0), cloud(400, 1), cloud(60, 2)


def error(codec, vectors=CODED):
    return cost(vectors, codec.decode(codec.encode(vectors)), QUERIES).error


FITS = {
    "int8": lambda m: fit_principal(LEARN, m, "int8"),
    "signs": lambda m: fit_principal(LEARN, m, "signs"),
    "product": lambda m: fit_product(LEARN, m, balanced=False),
    "balanced": lambda m: fit_product(LEARN, m),
    "shelves": lambda m: fit_shelves(LEARN, (lambda rest: fit_product(rest, m - 1)) if m > 1 else None, shelves=64),
    "autoencoder": lambda m: fit_autoencoder(LEARN, m, width=32, steps=150, batch=128),
    "diffusion": lambda m: fit_diffusion(LEARN, FITTED["autoencoder", m], width=32, steps=60),
}


class _Fitted(dict):
    def __missing__(self, key):
        self[key] = FITS[key[0]](key[1])
        return self[key]


FITTED = _Fitted()
EVERY = pytest.mark.parametrize("name", list(FITS))


@EVERY
@pytest.mark.parametrize("m", [1, 2, 4])
def test_codes_are_exactly_the_stated_bytes_and_all_that_is_kept(name, m):
    codec = FITTED[name, m]
    codes = codec.encode(CODED)
    assert codes.shape == (len(CODED), m) and codes.dtype == np.uint8 and codec.bytes == m
    decoded = codec.decode(codes.copy())
    assert decoded.shape == CODED.shape and decoded.dtype == np.float32 and np.isfinite(decoded).all()
    assert codec.shared_bytes > 0


@EVERY
def test_a_code_and_its_vector_depend_on_their_own_row_and_the_seed_alone(name):
    codec = FITTED[name, 4]
    codes = codec.encode(CODED)
    np.testing.assert_array_equal(codec.encode(CODED[::-1].copy())[::-1], codes)
    decoded = codec.decode(codes)
    np.testing.assert_array_equal(codec.decode(codes), decoded)
    np.testing.assert_allclose(codec.decode(codes[::-1].copy())[::-1], decoded, atol=1e-4)
    np.testing.assert_allclose(codec.decode(codes[7:9]), decoded[7:9], atol=1e-4)
    np.testing.assert_array_equal(FITS[name](4).encode(CODED), codes)


@pytest.mark.parametrize("name", [name for name in FITS if name != "diffusion"])
def test_more_bytes_never_hurt_much_and_help_in_the_end(name):
    errors = [error(FITTED[name, m]) for m in (1, 2, 4)]
    assert errors[1] < 1.02 * errors[0] and errors[2] < 1.02 * errors[1] and errors[2] < 0.8 * errors[0]


def test_product_quantisation_is_as_near_as_that_of_faiss():
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    peer = faiss.ProductQuantizer(WIDTH, 4, 8)
    peer.cp.min_points_per_centroid = 1
    peer.train(LEARN)
    theirs = cost(CODED, peer.decode(peer.compute_codes(CODED)), QUERIES).error
    assert error(FITTED["product", 4]) == pytest.approx(theirs, rel=0.05)


def test_a_piece_gets_its_nearest_centroid():
    codec = FITTED["balanced", 2]
    turned = (CODED - codec.mean) @ codec.rotation.T
    for place, own in enumerate(codec.centroids):
        piece = turned[:, place * 16 : place * 16 + 16]
        nearest = np.square(piece[:, None] - own).sum(-1).argmin(1)
        assert (codec.encode(CODED)[:, place] == nearest).mean() > 0.99  # float32: near ties


def test_the_balanced_rotation_turns_gives_pieces_equal_shares_and_pays():
    rotation = balanced_rotation(LEARN - LEARN.mean(0), 4)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(WIDTH), atol=1e-5)

    def uneven(turn):
        logs = np.log(((LEARN - LEARN.mean(0)) @ turn.T).var(0)).reshape(4, -1).sum(1)
        return np.ptp(logs)

    assert uneven(rotation) < 0.2 * uneven(np.eye(WIDTH))
    assert error(FITTED["balanced", 4]) < 0.95 * error(FITTED["product", 4])


def test_pieces_need_not_be_of_one_length():
    codec = fit_product(LEARN, 3)
    assert [own.shape for own in codec.centroids] == [(256, 11), (256, 11), (256, 10)]
    assert error(FITTED["balanced", 4]) < error(codec) < error(FITTED["balanced", 2])


def test_the_first_byte_is_the_shelf():
    codec = FITTED["shelves", 4]
    shelf = codec.partitioner.assign(codec.partition, CODED)
    np.testing.assert_array_equal(codec.encode(CODED)[:, 0], shelf)
    alone = FITTED["shelves", 1]
    np.testing.assert_array_equal(alone.decode(alone.encode(CODED)), alone.partition.centroids[shelf])
    assert error(codec) < error(alone)


def test_a_mean_given_the_code_has_an_error_of_one_minus_its_spread():
    alone = FITTED["shelves", 1]
    found = cost(LEARN, alone.decode(alone.encode(LEARN)), QUERIES)
    assert found.error == pytest.approx(1 - found.spread, abs=0.02)


def test_searching_the_true_vectors_costs_nothing_and_searching_others_much():
    none, all_ = cost(CODED, CODED, QUERIES), cost(CODED, CODED[::-1].copy(), QUERIES)
    assert none.recall == 1 and none.spread == 1 and max(none.error, none.distortion) < 1e-6
    assert all_.recall < 0.2 and all_.error > 1


@given(st.sampled_from(BITS), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_packing_loses_nothing_but_what_rounding_does(bits, size, seed):
    z = 2 * torch.randn(7, latents(size, bits), generator=torch.Generator().manual_seed(seed))
    codes = pack(z, bits)
    assert codes.shape == (7, size)
    torch.testing.assert_close(unpack(codes, bits), straight_through(z, bits))
    assert (straight_through(z, bits) - z.tanh()).abs().max() <= 1 / (2**bits - 1) + 1e-6


def test_the_gradient_passes_through_rounding_as_if_it_were_not_there():
    z = torch.tensor([[-0.7, 0.2, 1.5]], requires_grad=True)
    (slope,) = torch.autograd.grad(straight_through(z, 2).sum(), z)
    torch.testing.assert_close(slope, 1 - z.detach().tanh() ** 2)


@pytest.fixture(scope="module")
def gaussian():
    """A codec whose law given a code is a known Gaussian: mean 0 and deviations r, whatever the code."""
    r = torch.tensor([2.0, 1.0, 0.5, 0.1])
    mean = LinearAndHidden(16, 4, 2).requires_grad_(False)
    for parameter in mean.parameters():
        parameter.zero_()
    denoiser = ConditionalDenoiser(mean, r, 16, 4).requires_grad_(False)
    frame = Frame(torch.zeros(4), torch.eye(4), 1.0)
    levels = noise_levels(4.0, 0.05, 24)
    return DiffusionCodec(frame, mean, denoiser, levels, 1, 2, steps=10, step=0.3), r.numpy()


def all_codes(count=3000):
    return np.random.default_rng(0).permutation(65536)[:count].astype(np.uint16).view(np.uint8).reshape(count, 2)


def test_draws_have_the_moments_of_the_law_given_the_code(gaussian):
    """The tolerance is what unadjusted steps and 3,000 draws leave."""
    codec, r = gaussian
    x = codec.decode(all_codes())
    assert np.abs(x.mean(0) / r).max() < 0.08
    np.testing.assert_allclose(x.std(0), r, rtol=0.1)
    assert np.abs(np.corrcoef(x.T) - np.eye(4)).max() < 0.08


def test_the_mean_of_draws_comes_near_the_mean_as_their_number_says(gaussian):
    codec, r = gaussian
    one, four = (np.square(replace(codec, draws=n).decode(all_codes(500))).sum() for n in (1, 4))
    assert four == pytest.approx(one / 4, rel=0.1)
    assert np.abs(replace(codec, way="mean").decode(all_codes(10))).max() < 1e-6


def test_equal_codes_get_equal_draws_and_other_codes_and_seeds_others(gaussian):
    codec, _ = gaussian
    codes = np.array([[1, 2], [1, 2], [2, 1]], np.uint8)
    x = codec.decode(codes)
    np.testing.assert_array_equal(x[0], x[1])
    assert np.abs(x[0] - x[2]).max() > 1e-3
    assert np.abs(replace(codec, seed=1).decode(codes) - x).min() > 1e-6


def test_a_draw_has_about_twice_the_error_of_the_mean_and_the_spread_of_the_truth():
    draw, mean = FITTED["diffusion", 4], replace(FITTED["diffusion", 4], way="mean")
    drawn, meant = (cost(CODED, codec.decode(codec.encode(CODED)), QUERIES) for codec in (draw, mean))
    assert 1.6 * meant.error < drawn.error < 2.5 * meant.error
    assert meant.spread < 0.9 * drawn.spread and drawn.spread == pytest.approx(1, abs=0.2)
    assert meant.recall > drawn.recall


def test_fitting_the_score_leaves_the_autoencoder_as_it_was():
    learned = FITS["autoencoder"](2)
    before = learned.encode(CODED)
    fit_diffusion(LEARN, learned, width=16, steps=3)
    np.testing.assert_array_equal(learned.encode(CODED), before)


def test_what_cannot_be_is_refused_in_one_line(gaussian):
    with pytest.raises(Error, match="have fewer"):
        fit_principal(LEARN, 5, "signs")
    with pytest.raises(Error, match="choose 1 to 32"):
        fit_product(LEARN, 33)
    with pytest.raises(Error, match="at least 256"):
        fit_product(LEARN[:100], 4)
    with pytest.raises(Error, match="finite"):
        fit_product(np.full((300, 8), np.nan, np.float32), 4)
    with pytest.raises(Error, match="1 to 256 shelves"):
        fit_shelves(LEARN, None, shelves=300)
    with pytest.raises(Error, match="1, 2, 4 or 8 bits"):
        fit_autoencoder(LEARN, 4, bits=3)
    with pytest.raises(Error, match="one or more"):
        replace(gaussian[0], draws=0)
