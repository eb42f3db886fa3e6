"""The admin API against its own document: nothing that it allows, or forbids, makes a 500 or another answer.

Schemathesis makes requests of the document: its examples, the edges of each value, random ones, valid and
not, and chains in which the ids of one answer are in the next request.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import TIMEOUT_S, config_text
from tests.support.processes import ROOT, wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

CONFIG = Path(__file__).with_name("schemathesis.toml")
FUZZ_S = 60
SEED = "1"
"""Always the same requests are made of the document: a run that fails, fails again."""
GRACE_S = 120
OUT_OF_REACH = 987_654_321
"""The id of the key that asks, and of its project: or the first block of project 1 ends the test."""
UNCHANGED = """
CREATE TRIGGER key_stays AFTER UPDATE ON api_keys WHEN NEW.id = 987654321 BEGIN
  UPDATE api_keys SET blocked_at = NULL, revoked_at = NULL, expires_at = NULL, kind = OLD.kind,
    digest = OLD.digest, prefix = OLD.prefix, project_id = OLD.project_id WHERE id = NEW.id;
END;
CREATE TRIGGER project_stays AFTER UPDATE ON projects WHEN NEW.id = 987654321 BEGIN
  UPDATE projects SET blocked_at = NULL WHERE id = NEW.id;
END;
"""
"""Requests whose ids come out of a list find the admin's own key all the same: it stays as it is."""


def put_out_of_reach(admin: Admin) -> None:
    """No request that is made by chance hits the admin's own key, or its project."""
    with closing(sqlite3.connect(admin.gateway.database, timeout=TIMEOUT_S)) as database, database:
        database.execute(
            "INSERT INTO projects (id, name, created_at) VALUES (?, 'admins', '2026-01-01 00:00:00.000000')",
            [OUT_OF_REACH],
        )
        database.execute(
            "UPDATE api_keys SET id = ?, project_id = ? WHERE name = 'admin'", (OUT_OF_REACH, OUT_OF_REACH)
        )
        database.execute("UPDATE key_epoch SET epoch = epoch + 1")
        database.executescript(UNCHANGED)
    numbers = count()

    def is_known() -> bool:
        admin.send("POST", "/admin/v1/projects", {"name": f"made before {next(numbers)}"})
        [latest, *_] = admin.get("/admin/v1/audit").json()["data"]
        return str(latest["actor"]).startswith(f"key {OUT_OF_REACH} ")

    wait_until(is_known, "the key's new id", timeout_s=SOON_S)


def test_nothing_that_the_document_allows_or_forbids_makes_another_answer(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url)
    with admin_gateway(tmp_path, config, own_process=True, more="capture = true\n") as admin:
        admin.gateway.ledger(admin.gateway.post(body("qwen3-max")).headers["x-request-id"])
        put_out_of_reach(admin)
        program = Path(sys.executable).with_name("schemathesis")
        command: list[str | Path] = [
            program, "--config-file", CONFIG, "run", ROOT / "docs/admin-openapi.json", "--url", admin.url,
            "--header", f"Authorization: Bearer {admin.key}", "--max-time", str(FUZZ_S), "--seed", SEED,
            "--request-timeout", "20", "--no-shrink", "--max-failures", "20", "--output-truncate", "false",
            # What the schemas can't say is refused: a model that there is not, a cursor that is none.
            "--exclude-checks", "positive_data_acceptance",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=FUZZ_S + GRACE_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "a defect" not in admin.gateway.process.output
        assert admin.get("/admin/v1/keys").status_code == 200
