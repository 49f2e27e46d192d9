"""Energies and Gibbs sampling, each proved on a world whose answer is known; Langevin: ``benchmarks/studies/energies``.

The signs, here and nowhere else:

    p(x) = exp(-beta E(x)) / Z       low energy is likely; beta = 1 unless it is said
    score(x) = grad log p = -grad E  Langevin climbs the score: x' = x + h score(x) + sqrt(2 h) noise
    Ising  E(s) = -sum_i b_i s_i - sum_(i,j) J_ij s_i s_j,    s_i in {-1, +1}, each pair once
    Potts  E(s) = -sum_i b_i(s_i) - sum_(i,j) J_ij [s_i = s_j]

So J > 0 (ferromagnetic) makes neighbours *alike*: with J = similarity low energy groups the similar, a minimum cut. The
largest cut of weights w has J = -w. The original ROOTS called the first by the name of the second.
"""
