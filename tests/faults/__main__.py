"""`python -m tests.faults`: the battery."""
import sys, tempfile, argparse
from pathlib import Path
from tests.faults.case import CASES
from tests.faults.runner import run_cases
import tests.faults.cases.upstream
import tests.faults.cases.clients, tests.faults.cases.operations
with tempfile.TemporaryDirectory(prefix="llmgw-faults-") as folder:
    want = [CASES[int(n)] for n in sys.argv[1:]] or list(CASES.values())
    list(run_cases(want, Path(folder), print))
