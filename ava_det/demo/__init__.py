"""The parts of the demo command: its actions and scores, one video, a folder of videos."""
