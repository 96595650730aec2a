"""The parts of the demo command: its options, one video, a folder of videos."""
