"""Costs in the picture of accuracy against cost."""

from __future__ import annotations

import pytest

from studies.plot_tradeoff import LITERATURE, compute_gmacs, load_literature


@pytest.mark.parametrize(
    ("config", "gmacs"),
    [
        ("slowfast_r50_4x16", 36.1),  # tested at 256 x 256
        ("artnet_r18", 25.69),  # at 112 x 112
        ("r2plus1d_34", 152.36),
    ],
)
def test_a_network_is_counted_at_the_size_of_its_own_test(config: str, gmacs: float) -> None:
    counted = compute_gmacs(f"configs/kinetics/{config}.yaml")
    assert counted == pytest.approx(gmacs, rel=0.005)


def test_every_config_of_the_table_exists() -> None:
    configs = [path for path in load_literature(LITERATURE).config if path]
    assert len(configs) > 30
    assert all((LITERATURE.parents[1] / path).is_file() for path in configs)
