"""Finds events by rules, keyframe by keyframe, and does what the rules say when one happens."""

from ava_det.events.engine import Event, EventEngine
from ava_det.events.load import load_rules
from ava_det.events.rules import Deed, Rule

__all__ = ["Deed", "Event", "EventEngine", "Rule", "load_rules"]
