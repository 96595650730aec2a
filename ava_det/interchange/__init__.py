"""Converts between AVA's CSV and what annotation tools and spreadsheets write.

A source becomes a list of `LabeledBox` (action names, fractions of the frame, seconds) and that
becomes AVA rows; the way back goes through the same boxes. `FrameClock` alone knows
frame numbers and seconds of a video.
"""
