"""`python -m llmgw.simulator`: runs the simulated providers."""

from llmgw.simulator.serve import main

if __name__ == "__main__":
    main()
