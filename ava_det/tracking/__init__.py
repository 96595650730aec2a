"""Follows persons from keyframe to keyframe."""
