"""Labels an archive of videos, on one machine or many; the files of its folder decide what is done.

A folder of an archive holds `manifest.jsonl` (every video), `run.json` (what the results were made
with), `results/<id>.jsonl` (a whole result: the video is done), `errors/<id>.json` (failed
attempts), `claims/` and `drivers/` (who works on what), and `log/` (how long each video took).
"""
