"""The device of this process, the arithmetic it computes in, and torch's switches."""
