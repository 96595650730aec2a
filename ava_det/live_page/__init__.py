"""Serves what a camera or a folder of videos shows: pages, streams and a small REST interface.

Needs starlette and uvicorn (`pip install ava_det[web]`).
"""
