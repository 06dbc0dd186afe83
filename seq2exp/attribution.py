"""What each base of a window adds to the prediction, to first order: gradient times input.

The input of a base is its one-hot letter and its three raw signals, as they are in the window store
(Hi-C as log10(1 + contact)), so that transforms of the signals are part of what is differentiated.
Of a model with a mask the gradient goes through mask and predictor, but not through a mask that has
none: one cut to zeros and ones, one of a trained model, or one of peaks. Gene features, promoter
activity among them, are held fixed.

For a model that is linear in its input the sum over an element is exactly what the prediction loses
when its bases become N and its signals 0. Axes: L window length (bp), n elements.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from seq2exp.checkpoints import TrainedModel
from seq2exp.packing import unpack
from seq2exp.perturbation import places_of
from seq2exp.progress import logged
from seq2exp.store import WindowStore
from seq2exp.windows import read_window


def attributions(trained: TrainedModel, store: WindowStore, elements: pd.DataFrame) -> np.ndarray:
    """Sum of gradient times input over the bases of each element.

    One window is differentiated at a time, as a backward pass keeps much of it in memory.

    Parameters
    ----------
    trained, store, elements
        As for :func:`seq2exp.perturbation.shuffle_effects`.

    Returns
    -------
    float64 (n,)
        In the label's units, positive where the element raises expression.

    Raises
    ------
    UserError
        As :func:`seq2exp.perturbation.places_of`.
    """
    places = places_of(store, elements, trained.shape.window_length)
    sums = np.zeros(len(places))
    members: dict[int, list[int]] = {}
    for i, place in enumerate(places):
        members.setdefault(place.row, []).append(i)
    for row, own in logged(members.items(), len(members), "attribution"):
        bases = base_attribution(trained, store, row)
        for i in own:
            sums[i] = bases[places[i].bases].sum()
    return sums


def base_attribution(trained: TrainedModel, store: WindowStore, row: int) -> np.ndarray:
    """Gradient times input, summed over letters and signals, of every base of a window.

    Parameters
    ----------
    trained, store
        A model and a window store.
    row
        Of the store's genes.

    Returns
    -------
    float64 (L,)
    """
    window = read_window(store, row, trained.shape.window_length).to(trained.device)
    batch = unpack(window, contact_bin=store.contact_bin, has_peaks=store.has_peaks)
    inputs = (batch.sequence.requires_grad_(), batch.signals.requires_grad_())
    with torch.enable_grad():
        prediction = trained.model(batch).prediction
    if not prediction.requires_grad:  # it depends on gene features alone
        return np.zeros(trained.shape.window_length)
    gradients = torch.autograd.grad(prediction.sum(), inputs, materialize_grads=True)
    products = [
        (given.detach().double() * gradient.double()).sum(dim=-1)
        for given, gradient in zip(inputs, gradients, strict=True)
    ]
    found: np.ndarray = sum(products[1:], products[0])[0].cpu().numpy()
    return found
