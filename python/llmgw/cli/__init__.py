"""The command line: `main` and one file per verb.

Each verb's file has `configure(parser)`, which adds its options, and `run(options)`, which does its work
and returns the exit status. What a user can put right is raised as `CommandError` or `ConfigError`, and
`main` prints it.
"""
