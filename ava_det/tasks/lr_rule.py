"""Compares the learning rate and batch size of a run with those of its config file."""

from __future__ import annotations

from ava_det.config import Config


def describe_lr_mismatch(config: Config, recipe: Config) -> str | None:
    """Says where overrides changed one of train.batch_size and train.lr and left the other.

    The pair belongs together: with k times the clips of a batch, k times the learning rate (Goyal
    et al. 2017, arXiv 1706.02677, section 2.1).

    Args:
        config: Of the run.
        recipe: The file without overrides.

    Returns:
        A sentence, or None where both or neither were changed.
    """
    batch = config.train.batch_size
    lr = config.train.lr
    own_batch = recipe.train.batch_size
    own_lr = recipe.train.lr
    if batch != own_batch and lr == own_lr:
        return (
            f"train.batch_size is {batch}, but train.lr is still {lr:g}, which belongs to batches "
            f"of {own_batch}: by the linear rule expected train.lr={own_lr * batch / own_batch:.4g}"
        )
    if lr != own_lr and batch == own_batch:
        return (
            f"train.lr is {lr:g}, but train.batch_size is still {batch}, to which {own_lr:g} "
            "belongs: by the linear rule expected "
            f"train.batch_size={max(round(own_batch * lr / own_lr), 1)}"
        )
    return None
