"""The networks: plain `torch.nn` modules that take plain values and know nothing of configs, files
or data.
"""
