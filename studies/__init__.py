"""Makes the comparisons that the README and the docs quote: networks, ablations, the trade-off."""
