"""The device of this process and torch's switches."""
