"""`python -m llmgw.simulator`."""

from llmgw.simulator.serve import main

if __name__ == "__main__":
    main()
