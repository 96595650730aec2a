"""Names the networks that can be built."""

BACKBONES = ("slowfast", "slow_only", "fast_only", "i3d")
LATERALS = ("none", "ttoc_sum", "ttoc_concat", "t_sample", "t_conv")

# bottleneck blocks of res2..res5; 14 is one block each, for small data and quick tests
BLOCKS_PER_STAGE = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
