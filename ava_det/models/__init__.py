"""The networks: plain `torch.nn` modules. Only `build` reads a config."""
