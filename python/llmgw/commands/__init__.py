"""The verbs of the command line, one file each: `configure(parser)` adds its options, `run(options)` does it.

`run` returns the exit status. What a user can mend is raised as `CommandError` or `ConfigError`;
`llmgw.cli` prints it.
"""
