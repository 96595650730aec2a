"""Frames by time, from files, folders of pictures and live sources; and back into files."""
