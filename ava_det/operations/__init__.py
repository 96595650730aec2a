"""What the commands of `ava-det` do once their options are parsed: one module a command, `run`.

The options are in ava_det/commands, in the module of the same name. They are apart because what is
done here needs torch and video libraries, and --help and completion do not wait for these.
"""
