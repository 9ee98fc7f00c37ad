"""The top-k autoencoder in plain NumPy, float64: written from the papers, sharing no code.

Gao et al. 2024 (arXiv 2406.04093), sections 2.3 and 2.4, with the normaliser and the
masks of DESIGN §4. Gradients are derived by hand.
"""

import numpy as np


def pick(pre, k):
    order = np.argsort(-pre, axis=1, kind="stable")[:, :k]
    return np.maximum(np.take_along_axis(pre, order, axis=1), 0), order


def scatter(values, indices, n):
    z = np.zeros((len(values), n))
    np.add.at(z, (np.arange(len(values))[:, None], indices), values)
    return z


def loss_and_gradient(p, x, *, k, k_aux, alpha, dead, variance, every=2, multi=0.0):
    """Loss, fvu, AuxK and the gradients of W_enc, b_enc, W_dec, b_dec, by dense products."""
    W_enc, b_enc, W_dec, b_dec = p["W_enc"], p["b_enc"], p["W_dec"], p["b_dec"]
    n, batch, centred = len(b_enc), len(x), x - b_dec
    pre = centred @ W_enc + b_enc
    z = scatter(*pick(pre, k), n)
    error = x - (z @ W_dec + b_dec)
    fvu = (error**2).sum(1).mean() / variance
    g_out = -2 * error / (batch * variance)
    gradient = backward(z, g_out, centred, W_enc, W_dec)
    aux = 0.0
    if dead.any():
        z_aux = scatter(*pick(np.where(dead, pre, -np.inf)[::every], k_aux), n)
        target = error[::every]
        spread = ((target - target.mean(0)) ** 2).sum()
        missed = target - z_aux @ W_dec
        aux = (missed**2).sum() / spread
        g_aux = -2 * alpha * missed / spread
        extra = backward(z_aux, g_aux, centred[::every], W_enc, W_dec, bias=False)
        gradient = {name: gradient[name] + extra[name] for name in gradient}
    loss = fvu + alpha * aux
    if multi:
        z_wide = scatter(*pick(pre, 4 * k), n)
        wide = x - (z_wide @ W_dec + b_dec)
        loss += multi * (wide**2).sum(1).mean() / variance
        extra = backward(z_wide, -2 * multi * wide / (batch * variance), centred, W_enc, W_dec)
        gradient = {name: gradient[name] + extra[name] for name in gradient}
    return loss, fvu, aux, gradient


def backward(z, g, centred, W_enc, W_dec, *, bias=True):
    d_pre = (g @ W_dec.T) * (z > 0)
    return {
        "W_enc": centred.T @ d_pre,
        "b_enc": d_pre.sum(0),
        "W_dec": z.T @ g,
        "b_dec": bias * g.sum(0) - (d_pre @ W_enc.T).sum(0),
    }


def adam_step(p, gradient, moments, *, t, rate, clip, b1=0.9, b2=0.999, eps=1e-8):
    """Projection, clip, Adam, unit rows. t counts from 1."""
    g = dict(gradient)
    along = (g["W_dec"] * p["W_dec"]).sum(1, keepdims=True)
    g["W_dec"] = g["W_dec"] - along * p["W_dec"]
    norm = np.sqrt(sum((a**2).sum() for a in g.values()))
    g = {name: a * min(1.0, clip / norm) for name, a in g.items()}
    new, kept = {}, {}
    for name, a in g.items():
        m, v = moments.get(name, (0.0, 0.0))
        m, v = b1 * m + (1 - b1) * a, b2 * v + (1 - b2) * a**2
        kept[name] = (m, v)
        new[name] = p[name] - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    new["W_dec"] = new["W_dec"] / np.linalg.norm(new["W_dec"], axis=1, keepdims=True)
    return new, kept
