"""One file a command, each with `main(argv=None)`."""
