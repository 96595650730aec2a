"""The comparisons that the README and the docs quote: tables of networks, ablations, the "
"trade-off."""
