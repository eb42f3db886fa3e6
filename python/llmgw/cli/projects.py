"""`llmgw projects …`: makes, shows and changes projects, which keys belong to."""

import argparse
from typing import TYPE_CHECKING, Final

from llmgw.access.checks import Known
from llmgw.access.documents import project_document
from llmgw.access.keys import list_keys
from llmgw.access.project import Project
from llmgw.access.projects import (
    ProjectFields,
    block_project,
    create_project,
    get_project,
    list_projects,
    unblock_project,
    update_project,
)
from llmgw.cli.access import access, store_access, text_argument
from llmgw.cli.common import actor, add_config_option, format_time
from llmgw.cli.rules import HOW, add_rule_options, budgets_of, limits_of, rule_texts, shortened
from llmgw.cli.table import add_json_option, print_json, print_table, printable
from llmgw.cli.unpriced import warn_of_unpriced
from llmgw.config import Config
from llmgw.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

EPILOG: Final = """\
A project is a team or an application. Its limits and budgets hold for all its keys together, beside those of
each key. A key that is made without a project belongs to the project default.

examples:
  llmgw projects create research --budget 3000/month --warn-at 0.8
  llmgw keys create --name alice --project research --budget 20/day
  llmgw projects update research --budget 4000/month       what was spent this month stays
  llmgw projects update research --rpm 600 --concurrency none
  llmgw projects block research                            all its keys, until llmgw projects unblock research
  llmgw projects list
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{EPILOG}\n{HOW}"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a project")
    create.add_argument("new_name", type=text_argument, nargs="?", metavar="NAME", help="its name")
    create.add_argument("--name", type=text_argument, help="the same")
    listing = verbs.add_parser("list", help="show all projects")
    more = {
        "show": "show all about a project",
        "update": "change a project; running gateways know within a second",
        "block": "refuse all its keys until it is unblocked",
        "unblock": "accept its keys again",
    }
    made = {name: verbs.add_parser(name, help=summary) for name, summary in more.items()}
    for verb in made.values():
        verb.add_argument("project", type=text_argument, metavar="PROJECT", help="its name or id")
    made["update"].add_argument("--name", type=text_argument, help="its new name")
    for verb in (create, made["update"]):
        add_rule_options(verb, changing=verb is not create)
        verb.epilog = HOW
    for verb in (create, listing, *made.values()):
        verb.formatter_class = argparse.RawDescriptionHelpFormatter
        add_json_option(verb)
        add_config_option(verb)


def run(options: argparse.Namespace) -> int:
    verbs: dict[str, Callable[[argparse.Namespace], None]] = {
        "create": _create,
        "list": _list_all,
        "show": _show,
        "update": _update,
        "block": _block,
        "unblock": _unblock,
    }
    verbs[options.verb](options)
    return 0


def _fields(options: argparse.Namespace, config: Config) -> ProjectFields:
    fields: ProjectFields = {"limits": limits_of(options)}
    budgets = budgets_of(options, config.prices.currency)
    if budgets is not None:
        fields["budgets"] = budgets
    if options.name is not None:
        fields["name"] = options.name
    return fields


def _create(options: argparse.Namespace) -> None:
    names = {options.new_name, options.name} - {None}
    if len(names) != 1:
        raise CommandError("a project needs one name: llmgw projects create NAME")
    with access(options) as (store, config):
        fields: ProjectFields = {**_fields(options, config), "name": names.pop()}
        project = create_project(store, actor=actor(), known=Known.of(config), **fields)
    if not options.json:
        warn_of_unpriced(config, project.budgets)
    _print_done(project, "was made", options)


def _update(options: argparse.Namespace) -> None:
    with access(options) as (store, config):
        fields = _fields(options, config)
        if fields == {"limits": []}:
            raise CommandError("nothing is to be changed; llmgw projects update --help shows what can be")
        project = update_project(store, options.project, actor=actor(), known=Known.of(config), **fields)
        number = len(list_keys(store, project=str(project.id)))
    if not options.json and "budgets" in fields:
        warn_of_unpriced(config, project.budgets)
    _print_project(project, number, options)


def _show(options: argparse.Namespace) -> None:
    with store_access(options) as store:
        project = get_project(store, options.project)
        number = len(list_keys(store, project=str(project.id)))
    _print_project(project, number, options)


def _block(options: argparse.Namespace) -> None:
    with store_access(options) as store:
        project = block_project(store, options.project, actor=actor())
    _print_done(project, "is blocked, and so are its keys", options)


def _unblock(options: argparse.Namespace) -> None:
    with store_access(options) as store:
        project = unblock_project(store, options.project, actor=actor())
    _print_done(project, "is not blocked", options)


def _list_all(options: argparse.Namespace) -> None:
    with store_access(options) as store:
        projects = list_projects(store)
    if options.json:
        print_json([_object(project) for project in projects])
        return
    rows = [
        (
            str(project.id),
            project.name,
            shortened(rule_texts(project.limits, project.budgets)),
            format_time(project.created_at),
            _state(project),
        )
        for project in projects
    ]
    print_table(("ID", "NAME", "LIMITS", "CREATED", "STATE"), rows, right=(0,))


def _print_done(project: Project, done: str, options: argparse.Namespace) -> None:
    if options.json:
        print_json(_object(project))
    else:
        print(printable(f"Project {project.id} ({project.name}) {done}."))


def _print_project(project: Project, number_of_keys: int, options: argparse.Namespace) -> None:
    if options.json:
        print_json(_object(project))
        return
    lines = {
        "project": f"{project.id} ({project.name})",
        "limits": "; ".join(rule_texts(project.limits, project.budgets)) or "-",
        "keys": str(number_of_keys),
        "created": format_time(project.created_at),
        "state": _state(project),
    }
    for name, value in lines.items():
        print(f"{name:<9}{printable(value)}")


def _object(project: Project) -> dict[str, object]:
    return {**project_document(project), "state": "active" if project.blocked_at is None else "blocked"}


def _state(project: Project) -> str:
    return "active" if project.blocked_at is None else f"blocked {format_time(project.blocked_at)}"
