"""The larger subcommands of the command line."""
