"""Published results, and everything that decides whether a run of their weights gives the published
number.
"""
