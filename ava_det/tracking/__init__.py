"""Persons followed from keyframe to keyframe."""
