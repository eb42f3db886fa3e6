"""`llmgw keys` and `llmgw projects`: the words that scripts use, and what people are told."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from llmgw.access.amounts import parse_amount, parse_warn_at, warn_at_text
from llmgw.access.audit import list_audit
from llmgw.access.keyring import KeyRing
from llmgw.budgets.money import amount_text
from llmgw.cli.times import expires_at, parse_expiry
from llmgw.config import load_config
from llmgw.store import open_store
from tests.support.cli import Run

pytestmark = pytest.mark.usefixtures("config")
NO_LIMITS = {"requests_per_minute": None, "tokens_per_minute": None, "concurrent_requests": None}


def shown(run: Run, *arguments: str) -> Any:  # noqa: ANN401 - any JSON value
    """What a command prints with `--json`."""
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def budgets(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("amount", "unit", "period", "model", "per_user", "warn_at")
    return [tuple(budget[name] for name in names) for budget in document["budgets"]]


def test_the_words_of_scripts(run: Run) -> None:
    assert run("projects", "create", "--name", "P").status == 0
    made = shown(
        run, "keys", "create", "--name", "N", "--project", "P", "--rpm", "5", "--tpm", "1000",
        "--concurrency", "2", "--budget", "10/day", "--budget", "5000000tokens/month",
    )  # fmt: skip
    assert (made["name"], made["project"], made["kind"], made["state"]) == ("N", "P", "model", "active")
    assert made["limits"] == {"requests_per_minute": 5, "tokens_per_minute": 1000, "concurrent_requests": 2}
    assert budgets(made) == [
        ("10.00", "CNY", "day", None, False, None),
        ("5000000", "tokens", "month", None, False, None),
    ]
    assert made["secret"].startswith("sk-gtw-")
    without_secret = {name: value for name, value in made.items() if name not in {"key", "secret"}}
    assert shown(run, "keys", "show", "N") == without_secret
    assert shown(run, "keys", "list") == [without_secret]
    assert shown(run, "keys", "update", "N", "--rpm", "6")["limits"]["requests_per_minute"] == 6
    assert shown(run, "keys", "block", "N")["state"] == "blocked"
    assert shown(run, "keys", "unblock", "N")["state"] == "active"
    rotated = shown(run, "keys", "rotate", "N", "--grace", "24h")
    assert rotated["secret"] not in {made["secret"], None}
    until = datetime.fromisoformat(rotated["previous_expires_at"])
    assert until - datetime.now(UTC) == pytest.approx(timedelta(hours=24), abs=timedelta(minutes=1))
    assert [project["name"] for project in shown(run, "projects", "list")] == ["default", "P"]
    assert shown(run, "projects", "update", "P", "--name", "Q")["name"] == "Q"
    assert shown(run, "keys", "revoke", "N")["state"] == "revoked"


def test_a_key_is_blocked_whatever_is_wrong_with_the_rest_of_the_config(run: Run, config: Path) -> None:
    shown(run, "keys", "create", "--name", "leaked")
    config.write_text(f"{config.read_text('utf-8')}\nprice = {{input = -1, output = 1}}\n", "utf-8")
    assert run("keys", "create", "--name", "other").status == 2
    for arguments in (("block", "leaked"), ("unblock", "leaked"), ("rotate", "leaked"), ("revoke", "leaked")):
        status, _, err = run("keys", *arguments)
        assert status == 0, err
        assert err.startswith(f"llmgw: {config.resolve()} has a fault; only its [store] was read"), arguments
    assert "revoked" in run("keys", "list").out
    assert run("projects", "list").status == 0
    config.write_text("[store\n", "utf-8")
    assert run("keys", "block", "leaked").status == 2


PRICED = 'id = "priced"\nupstream = "local"\nprice = {input = 2.0, output = 12.0}\n'
UNPRICED = "warning: no price for {}: a budget in money refuses their requests."


def test_a_budget_in_money_tells_which_models_it_shuts(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`llmgw init` writes models without prices: 403 is a late moment to learn of it."""
    monkeypatch.setenv("CLI_TEST_KEY", "k")
    ids = [model.id for model in load_config(config).models]
    config.write_text(config.read_text("utf-8") + f"\n[[models]]\n{PRICED}", "utf-8")
    model, shut = ids[0], UNPRICED.format(", ".join(ids))
    for arguments, said in (
        (("projects", "create", "P", "--budget", "5/day"), shut),
        (("projects", "update", "P", "--budget", "6/day"), shut),
        (("keys", "create", "--name", "a", "--project", "P"), shut),
        (("keys", "create", "--name", "b", "--budget", f"{model}=5/day"), UNPRICED.format(model)),
        (("keys", "update", "b", "--budget", "5/day"), shut),
        (("keys", "update", "b", "--owner", "ann"), None),
        (("keys", "create", "--name", "c", "--budget", "5/day", "--models", "priced"), None),
        (("keys", "create", "--name", "d", "--budget", "5tokens/day"), None),
        (("keys", "create", "--name", "e", "--budget", "5/day", "--json"), None),
    ):
        status, _, err = run(*arguments)
        assert (status, "warning:" in err) == (0, said is not None), arguments
        assert said is None or said in err
    config.write_text(config.read_text("utf-8") + '\n[prices]\nunpriced = "allow"\n', "utf-8")
    assert "warning:" not in run("keys", "create", "--name", "f", "--budget", "5/day").err


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [(("--admin",), "admin"), (("--admin=read",), "admin_read"), (("--admin", "read"), "admin_read")],
)
def test_admin_keys(run: Run, arguments: tuple[str, ...], kind: str) -> None:
    made = shown(run, "keys", "create", "--name", "ops", *arguments)
    assert (made["kind"], made["secret"].startswith("sk-gtw-admin-")) == (kind, True)
    assert "none" in run("keys", "list").out


OPTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "a model's limit": (
        ("--rpm", "qwen3-max=5"),
        {"limits_by": [{**NO_LIMITS, "model": "qwen3-max", "per_user": False, "requests_per_minute": 5}]},
    ),
    "a user's limits": (
        ("--per-user-rpm", "3", "--per-user-tpm", "vendor/glm-5=9", "--per-user-concurrency", "1"),
        {
            "limits_by": [
                {"model": None, "per_user": True, "requests_per_minute": 3, "tokens_per_minute": None,
                 "concurrent_requests": 1},
                {**NO_LIMITS, "model": "vendor/glm-5", "per_user": True, "tokens_per_minute": 9},
            ]
        },
    ),
    "no limit": (("--rpm", "none"), {"limits": NO_LIMITS, "limits_by": []}),
    "an owner": (("--owner", "王芳"), {"owner": "王芳"}),
    "users in a header": (("--trusts-user-header",), {"trusts_user_header": True}),
    "models one by one": (
        ("--model", "qwen3-max", "--model", "vendor/glm-5"),
        {"models": ["qwen3-max", "vendor/glm-5"]},
    ),
    "models in a list": (("--models", "vendor/glm-5, qwen3-max"), {"models": ["qwen3-max", "vendor/glm-5"]}),
    "a day": (("--expires", "2027-01-31"), {"expires_at": "2027-01-31T16:00:00Z"}),
    "a time": (("--expires", "2027-01-31T10:00"), {"expires_at": "2027-01-31T02:00:00Z"}),
    "a time with a zone": (("--expires", "2027-01-31T10:00Z"), {"expires_at": "2027-01-31T10:00:00Z"}),
    "never": (("--expires", "never"), {"expires_at": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_field_b2_every_option_is_stored(run: Run, name: str) -> None:
    options, expected = OPTIONS[name]
    shown(run, "keys", "create", "--name", "changed", "--rpm", "7", "--expires-in", "1h")
    for document in (
        shown(run, "keys", "create", "--name", "made", *options),
        shown(run, "keys", "show", "made"),
        shown(run, "keys", "update", "changed", *options),
        shown(run, "keys", "show", "changed"),
    ):
        assert {member: document[member] for member in expected} == expected


BUDGETS: dict[str, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    "money": (("--budget", "10/day"), ("10.00", "CNY", "day", None, False, None)),
    "a fraction": (("--budget", "0.005/week"), ("0.005", "CNY", "week", None, False, None)),
    "the smallest": (("--budget", "0.000000001/total"), ("0.000000001", "CNY", "total", None, False, None)),
    "its currency": (("--budget", "20CNY/day"), ("20.00", "CNY", "day", None, False, None)),
    "a currency in small letters": (("--budget", "20 cny/day"), ("20.00", "CNY", "day", None, False, None)),
    "tokens": (("--budget", "5000000tokens/month"), ("5000000", "tokens", "month", None, False, None)),
    "a model": (("--budget", "vendor/glm-5=20/day"), ("20.00", "CNY", "day", "vendor/glm-5", False, None)),
    "each user": (("--per-user-budget", "1/day"), ("1.00", "CNY", "day", None, True, None)),
    "a model and each user": (
        ("--per-user-budget", "qwen3-max=1.5/month"),
        ("1.50", "CNY", "month", "qwen3-max", True, None),
    ),
    "a warning": (
        ("--budget", "3000/month", "--warn-at", "0.8"),
        ("3000.00", "CNY", "month", None, False, 0.8),
    ),
}


@pytest.mark.parametrize("whose", ["keys", "projects"])
@pytest.mark.parametrize("name", BUDGETS)
def test_budgets_as_they_are_written(run: Run, whose: str, name: str) -> None:
    options, expected = BUDGETS[name]
    assert budgets(shown(run, whose, "create", "--name", "x", *options)) == [expected]
    shown(run, whose, "create", "--name", "y", "--budget", "77/week")
    assert budgets(shown(run, whose, "update", "y", *options)) == [expected]
    assert budgets(shown(run, whose, "show", "y")) == [expected]
    assert budgets(shown(run, whose, "update", "y", "--no-budgets")) == []


REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no number": (("--rpm", "five"), 2, "'five' is no limit: write a number, none, MODEL=number"),
    "no model": (("--rpm", "=5"), 2, "'=5' is no limit"),
    "a fraction of a request": (("--rpm", "1.5"), 2, "is no limit"),
    "digits of another script": (("--rpm", "５"), 2, "is no limit"),
    "a limit of 0": (("--tpm", "0"), 1, "--tpm: must be from 1 to 1000000000000, not 0"),
    "the same limit twice": (("--rpm", "1", "--rpm", "2"), 1, "--rpm is there twice"),
    "the same model twice": (("--per-user-rpm", "qwen3-max=1", "--per-user-rpm", "qwen3-max=2"), 1,
                             "--per-user-rpm is there twice for qwen3-max"),
    "a limit of no model": (("--rpm", "qwen3-mxa=5"), 1, "no model 'qwen3-mxa': did you mean 'qwen3-max'?"),
    "no period": (("--budget", "10"), 2, "'10' is no budget: write an amount and day, week, month or total"),
    "another period": (("--budget", "10/year"), 2, "is no budget"),
    "a negative budget": (("--budget=-10/day",), 2, "is no budget"),
    "an exponent": (("--budget", "1e3/day"), 2, "is no budget"),
    "half a token": (("--budget", "0.5tokens/day"), 1, "must be a whole number of tokens"),
    "too many decimals": (("--budget", "0.0000000001/day"), 1, "with at most 9 decimals"),
    "nothing": (("--budget", "0/day"), 1, "must be more than 0; to stop a key or project, block it"),
    "another currency": (("--budget", "10USD/day"), 1, "or the configured currency, 'CNY', not 'USD'"),
    "more than money": (("--budget", "1000000001/day"), 1, "must be at most 1000000000.00"),
    "two of the same": (("--budget", "1/day", "--budget", "2CNY/day"), 1,
                        "budgets: has two in CNY per day for all users, all models"),
    "a share of 8": (("--budget", "1/day", "--warn-at", "8"), 2, "must be a share from 0.001 to 1"),
    "a warning of nothing": (("--warn-at", "0.8"), 1, "--warn-at needs the budgets that it is for"),
    "an unknown project": (("--project", "nope"), 1, "no project 'nope'; llmgw projects list shows them"),
    "a very long name": (("--name", "x" * 201), 1, "name: must have at most 200 characters, not 201"),
    "another word": (("--admin=write",), 2, "'write' is not known: write --admin or --admin=read"),
    "limits of an admin": (("--admin", "--rpm", "5"), 1, "limits: must not be set for an admin key"),
    "no time": (("--expires", "soon"), 2, "'soon' is no time: write 30d, 2026-12-31"),
    "two times": (("--expires", "1d", "--expires-in", "2d"), 1, "don't go together"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    options, status, message = REFUSED[name]
    outcome = run("keys", "create", *options)
    assert (outcome.status, outcome.out, message in " ".join(outcome.err.split())) == (status, "", True)
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    assert list_audit(store) == []
    store.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("keys", "update", "k"), "nothing is to be changed"),
        (("keys", "update", "k", "--no-budgets", "--budget", "1/day"), "don't go together"),
        (("keys", "update", "k", "--all-models", "--model", "qwen3-max"), "don't go together"),
        (("keys", "update", "k", "--admin"), "--admin: can't change between"),
        (("keys", "show", "nobody"), "no key is known by that; llmgw keys list shows them all"),
        (("keys", "rotate", "k", "--grace", "91d"), "grace: must be from 0 to 90 days"),
        (("projects", "update", "default"), "nothing is to be changed"),
        (("projects", "update", "default", "--name", "x"), "keeps its name"),
        (("projects", "create"), "a project needs one name: llmgw projects create NAME"),
        (("projects", "create", "a", "--name", "b"), "a project needs one name"),
        (("projects", "create", "default"), "there is a project 'default' already"),
        (("projects", "create", "12"), "name: must not be a number"),
        (("projects", "create", ""), "name: must not be empty"),
        (("projects", "show", "nope"), "there is no project 'nope'"),
        (("projects", "block", "9"), "there is no project '9'"),
    ],
)  # fmt: skip
def test_what_can_t_be_done(run: Run, arguments: tuple[str, ...], message: str) -> None:
    run("keys", "create", "--name", "k")
    status, out, err = run(*arguments)
    assert (status, out, message in err) == (1, "", True), err


def test_an_update_changes_what_it_names(run: Run) -> None:
    run(
        "keys", "create", "--name", "k", "--rpm", "5", "--tpm", "1000", "--budget", "10/day", "--owner", "ana"
    )
    changed = shown(run, "keys", "update", "k", "--rpm", "none", "--concurrency", "2")
    assert changed["limits"] == {
        "requests_per_minute": None,
        "tokens_per_minute": 1000,
        "concurrent_requests": 2,
    }
    assert (budgets(changed)[0][0], changed["owner"]) == ("10.00", "ana")
    before = changed["budgets"][0]["id"]
    changed = shown(run, "keys", "update", "k", "--budget", "30/day", "--owner", "", "--model", "qwen3-max")
    assert [(each["id"], each["amount"]) for each in changed["budgets"]] == [(before, "30.00")]
    assert (changed["owner"], changed["models"]) == (None, ["qwen3-max"])
    changed = shown(run, "keys", "update", "k", "--all-models", "--no-trusts-user-header")
    assert (changed["models"], changed["trusts_user_header"]) == (None, False)


def test_field_b5_a_project_s_limits_are_shown_with_its_keys(run: Run) -> None:
    """LiteLLM#30550: a team's limit was invisible on the key's page."""
    run("projects", "create", "research", "--budget", "3000/month", "--warn-at", "0.8", "--rpm", "600")
    run("keys", "create", "--name", "ana", "--project", "research", "--budget", "qwen3-max=20/day")
    out = run("keys", "show", "ana").out
    assert re.search(r"^limits +20.00 CNY/day of qwen3-max$", out, re.MULTILINE)
    assert re.search(r"^of its project +600 rpm; 3000.00 CNY/month, warns at 0.8$", out, re.MULTILINE)
    of_project = shown(run, "keys", "show", "ana")["of_project"]
    assert of_project["limits"]["requests_per_minute"] == 600
    assert budgets(of_project) == [("3000.00", "CNY", "month", None, False, 0.8)]


def test_a_project_s_life(run: Run, tmp_path: Path) -> None:
    assert run("projects", "create", "研究").out == "Project 2 (研究) was made.\n"
    key = shown(run, "keys", "create", "--name", "ana", "--project", "研究")["secret"]
    out = run("projects", "show", "研究").out
    assert re.search(r"^keys +1$", out, re.MULTILINE)
    assert run("projects", "block", "研究").out == "Project 2 (研究) is blocked, and so are its keys.\n"
    assert "project blocked" in run("keys", "list").out
    assert "blocked" in run("projects", "list").out
    status, _, err = run("keys", "create", "--project", "研究")
    assert (status, "is blocked; unblock it" in err, "llmgw projects unblock" in err) == (1, True, True)
    assert run("projects", "unblock", "2").status == 0
    assert [each["name"] for each in shown(run, "keys", "list", "--project", "研究")] == ["ana"]
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    assert KeyRing(store).lookup(key) is not None
    actors = {entry.actor for entry in list_audit(store)}
    assert len(actors) == 1
    assert re.fullmatch(r"cli \S+@\S+", actors.pop())
    store.close()


def test_a_rotation_prints_the_new_key_alone(run: Run) -> None:
    old = run("keys", "create", "--name", "k").out.strip()
    status, out, err = run("keys", "rotate", "k")
    assert (status, out.strip() != old) == (0, True)
    assert re.fullmatch(r"sk-gtw-\S{32}\n", out)
    assert "The old one is good until" in err
    assert out.strip() not in err
    assert "The old one is no longer good" in run("keys", "rotate", "k", "--grace", "0").err


@pytest.mark.parametrize("verb", ["create", "update"])
@pytest.mark.parametrize("command", ["keys", "projects"])
def test_help_teaches_limits_and_budgets(run: Run, command: str, verb: str) -> None:
    out = run(command, verb, "--help").out
    for example in (
        "--rpm 60",
        "--budget 20/day",
        "5000000tokens/month",
        "qwen3.6-plus=20/day",
        "--warn-at 0.8",
    ):
        assert example in out
    general = run(command, "--help").out
    assert "--budget" in general


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-03-28", datetime(2027, 3, 28, 16, tzinfo=UTC)),
        ("2027-03-28T10:00", datetime(2027, 3, 28, 2, tzinfo=UTC)),
        ("2027-03-28T10:00-05:00", datetime(2027, 3, 28, 15, tzinfo=UTC)),
        ("never", None),
    ],
)
def test_when_that_is(text: str, expected: datetime | None) -> None:
    assert expires_at(parse_expiry(text), timezone(timedelta(hours=8))) == expected


@pytest.mark.parametrize("unit", ["CNY", "tokens"])
@pytest.mark.parametrize("amount", [1, 7, 10**9, 10**9 + 1, 123_456_789_012, 10**18])
def test_an_amount_as_text_is_the_same_amount(amount: int, unit: str) -> None:
    assert parse_amount(amount_text(amount, unit), unit) == amount


@pytest.mark.parametrize("permille", [1, 5, 10, 333, 800, 1000])
def test_a_share_as_text_is_the_same_share(permille: int) -> None:
    assert parse_warn_at(warn_at_text(permille)) == permille
