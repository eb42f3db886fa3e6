"""`python -m llmgw` is `llmgw`."""

from llmgw.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
