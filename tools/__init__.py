"""The command lines: each file is a thin `main(argv=None)` over the rooms of `ava_det`."""
