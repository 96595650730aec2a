"""AVA spatiotemporal action detection: who does what, where and when in a video."""

__version__ = "0.1.0"
