"""deploy/grafana and deploy/prometheus: each query is parsed, and asks for metrics and labels that exist.

The parser is PromQL's grammar as a library (`promql-parser`). Neither Prometheus nor Grafana is run here.
"""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import promql_parser
import pytest
import yaml

from llmgw.observe import specs
from tests.support.processes import ROOT

DASHBOARD: Final[dict[str, Any]] = json.loads(
    (ROOT / "deploy/grafana/dashboards/llmgw.json").read_text("utf-8")
)
RULES: Final[list[dict[str, Any]]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules/llmgw.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
PAGE: Final = (ROOT / "docs/operations.md").read_text("utf-8")
SERIES: Final = re.compile(r"_(total|bucket|sum|count)$")
OF_PROMETHEUS: Final = {"job", "instance", "le"}
"""Labels that Prometheus adds, or a histogram has."""
COUNTS_ONLY: Final = {"rate", "increase", "irate"}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric, by the name that Prometheus shows; from the table in operations.md."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \|([^|]*)\|", PAGE, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


METRICS: Final = documented()


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


QUERIES: Final = list(queries())


def nodes(expression: Any) -> Iterator[Any]:  # noqa: ANN401  (the package has no types)
    """The expression and all within it."""
    yield expression
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        inner = getattr(expression, name, None)
        if inner is not None and not isinstance(inner, str):
            yield from nodes(inner)
    for argument in getattr(expression, "args", None) or ():
        yield from nodes(argument)


def parsed(query: str) -> Any:  # noqa: ANN401  (as above)
    for variable, value in (
        ("$__rate_interval", "5m"),
        ("$job", ".*"),
        ("$instance", ".*"),
        ("$model", ".*"),
    ):
        query = query.replace(variable, value)
    assert "$" not in query, "a variable that the dashboard does not have"
    return promql_parser.parse(query)


def kind_and_labels(series: str | None) -> tuple[str, set[str]]:
    assert series, "a selector must name its metric"
    if series == "up":
        return "gauge", set()
    name = series if series in METRICS else SERIES.sub("", series)
    assert name in METRICS, f"{series} is in no row of docs/operations.md"
    kind, labels = METRICS[name]
    if kind == "histogram":
        assert series != name, f"{series} has only buckets, a sum and a count"
    return ("counter" if kind == "histogram" else kind), labels


def test_the_table_has_all_metrics() -> None:
    """So what the queries are held against is what the gateway has."""
    ours = {each.name for each in vars(specs).values() if isinstance(each, specs.Spec)}
    assert len(ours) > 20
    assert ours <= {SERIES.sub("", name) for name in METRICS}
    gen_ai = {name for name in METRICS if name.startswith("gen_ai_")}
    assert len(gen_ai) == 5


@pytest.mark.parametrize(("where", "query"), QUERIES)
def test_a_query_names_what_exists(where: str, query: str) -> None:
    found = 0
    for node in nodes(parsed(query)):
        if isinstance(node, promql_parser.VectorSelector):
            found += 1
            _, labels = kind_and_labels(node.name)
            used = {matcher.name for matcher in node.matchers.matchers}
            assert used <= labels | OF_PROMETHEUS, (where, node.name)
        if isinstance(node, promql_parser.Call):
            for selector in (
                each for each in nodes(node.args[0]) if isinstance(each, promql_parser.VectorSelector)
            ):
                is_counter = kind_and_labels(selector.name)[0] == "counter"
                if node.func.name in COUNTS_ONLY:
                    assert is_counter, f"{where}: {selector.name} may fall"
    assert found, where


@pytest.mark.parametrize(("where", "query"), QUERIES)
def test_a_sum_is_by_labels_that_exist(where: str, query: str) -> None:
    for node in nodes(parsed(query)):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            labels = set(node.modifier.labels)
            inner = [each for each in nodes(node.expr) if isinstance(each, promql_parser.VectorSelector)]
            for selector in inner:
                _, known = kind_and_labels(selector.name)
                assert labels <= known | OF_PROMETHEUS, (where, selector.name)


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(llmgw_no_such_total[5m]))",
        'llmgw_tokens_total{colour="red"}',
        "rate(llmgw_requests_in_flight[5m])",
    ],
)
def test_what_does_not_exist_is_noticed(query: str) -> None:
    with pytest.raises(AssertionError):
        test_a_query_names_what_exists("here", query)


def test_panels() -> None:
    panels = DASHBOARD["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in panels]
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"], (one, two)
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


def test_legends_and_variables_name_labels_that_exist() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            by = {
                label
                for node in nodes(parsed(target["expr"]))
                if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
                for label in node.modifier.labels
            }
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= by, panel["title"]
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "job", "instance", "model"}
    for variable in DASHBOARD["templating"]["list"][1:]:
        match = re.fullmatch(r"label_values\((\w+)(?:{[^}]*})?, (\w+)\)", variable["definition"])
        assert match, variable["definition"]
        assert match[2] in kind_and_labels(match[1])[1] | OF_PROMETHEUS


def test_the_page_and_the_rules_name_the_same_alarms() -> None:
    """The paragraph of docs/operations.md that says what to alert on."""
    [paragraph] = re.findall(r"^Alert on: .*?\n```text\n.*?```", PAGE, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"llmgw_[a-z_]+", paragraph))
    assert len(named) > 5
    used = {
        node.name
        for rule in RULES
        for node in nodes(parsed(rule["expr"]))
        if isinstance(node, promql_parser.VectorSelector)
    }
    assert named <= used
    assert "given_up" in paragraph
    assert any("given_up" in rule["expr"] for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_it_means(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Llmgw[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    titles = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    by = {
        label
        for node in nodes(parsed(rule["expr"]))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
        for label in node.modifier.labels
    }
    by = by or {"instance", "job"}
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= by
    if "for" in rule:
        assert re.fullmatch(r"\d+m", rule["for"])


def test_alarms_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
