"""What the sandbox knows about tables beyond the registry: sizes, links, and the admin group."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.dialect import timestamp
from tap_autodesk_exports.sandbox.data.habits import last_sign_in
from tap_autodesk_exports.sandbox.data.world import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_autodesk_exports.sandbox.data.registry import Table
    from tap_autodesk_exports.sandbox.data.world import Person, Project, World

    Cells = dict[str, str | None]

SIZES = {
    "assets_assets": 240,
    "assets_asset_custom_attribute_values": 200,
    "assets_asset_statuses": 32,
    "assets_categories": 48,
    "assets_custom_attributes": 24,
    "checklists_checklists": 60,
    "checklists_checklist_items": 160,
    "cost_budgets": 260,
    "cost_change_orders": 90,
    "cost_contracts": 60,
    "cost_cost_items": 240,
    "cost_cost_payments": 80,
    "cost_budget_payments": 60,
    "cost_expenses": 60,
    "cost_main_contracts": 16,
    "cost_main_contract_items": 60,
    "forms_forms": 90,
    "forms_native_form_values": 160,
    "issues_issues": 420,
    "issues_comments": 500,
    "issues_attachments": 140,
    "issues_issue_types": 24,
    "issues_issue_subtypes": 56,
    "issues_custom_attributes": 160,
    "issues_custom_attributes_mappings": 24,
    "issues_custom_attribute_list_values": 60,
    "issues_placements": 120,
    "issues_root_cause_categories": 24,
    "issues_root_causes": 64,
    "issues_viewables": 100,
    "locations_trees": 8,
    "locations_nodes": 120,
    "photos_photos": 120,
    "relationships_entity_relationship": 140,
    "rfis_rfis": 220,
    "rfis_comments": 120,
    "rfis_rfi_assignees": 180,
    "rfis_rfi_responses": 140,
    "rfis_rfi_reviewers": 120,
    "rfis_rfi_transitions": 320,
    "rfis_rfi_types": 16,
    "schedule_schedules": 8,
    "schedule_activities": 220,
    "schedule_dependencies": 160,
    "submittalsacc_items": 200,
    "submittalsacc_comments": 90,
    "submittalsacc_packages": 24,
    "submittalsacc_specs": 40,
    "submittalsacc_steps": 180,
    "submittalsacc_tasks": 200,
    "transmittals_transmittal_recipients": 80,
    "admin_business_units": 0,
    "admin_project_services": 0,
    "admin_project_user_services": 0,
}
"""Rows two years after the beginning, at scale 1. Header-only ones: as in real extracts."""

DAILY = {
    "activities_admin_activities": 2.0,
    "activities_docs_activities": 4.0,
    "activities_issues_activities": 5.0,
    "activities_issues_changes": 3.0,
    "activities_rfis_activities": 1.5,
    "activities_sheets_activities": 1.0,
}
"""Activities a day, at scale 1."""

_LINKS = {
    "issues_issues": {
        "subtype_id": "issue_subtypes.issue_subtype_id",
        "root_cause_id": "root_causes.root_cause_id",
        "root_cause_category_id": "root_cause_categories.root_cause_category_id",
    },
    "issues_custom_attributes": {
        "issue_id": "issues.issue_id",
        "attribute_mapping_id": "custom_attributes_mappings.id",
    },
    "rfis_rfis": {"rfi_type": "rfi_types.id"},
    "rfis_rfi_transitions": {"rfi_id": "rfis.id"},
    "submittalsacc_items": {"spec_id": "specs.id", "package": "packages.id"},
    "submittalsacc_tasks": {"step_id": "steps.id"},
    "cost_budgets": {"main_contract_id": "main_contracts.id", "contract_id": "contracts.id"},
    "cost_main_contract_items": {"main_contract_id": "main_contracts.id"},
    "locations_nodes": {"tree_id": "trees.id", "parent_id": "nodes.id"},
}
"""Links that the registry does not hold, or holds under a name that no table has."""


def links(table: Table, registry: Mapping[str, Table]) -> dict[str, tuple[str, str]]:
    """Return column -> (table, column) that it points to; the first one decides the project."""
    if table.group.startswith("cdc"):
        return {}
    found: dict[str, tuple[str, str]] = {}
    for column, target in {**table.links, **_LINKS.get(table.name, {})}.items():
        name, _, key = target.rstrip(".").partition(".")
        for candidate in (name, f"{name}s", f"plan_{name}"):
            other = registry.get(f"{table.group}_{candidate}")
            if other is None or column not in table.columns:
                continue
            key = key if key in other.columns else other.key[-1]
            if table.columns[column] in {other.columns[key], "string", "string: null"}:
                found[column] = (other.name, key)
            break
    return found


@dataclasses.dataclass(frozen=True)
class Special:
    """A table whose rows are people and projects of the world."""

    count: int
    born: Callable[[int], dt.datetime]
    project: Callable[[int], int | None]
    cells: Callable[[int, dt.datetime], Cells]
    """Makes the cells of a row as they are at a moment."""


def specials(world: World) -> dict[str, Special]:
    """Return the tables of the admin group that follow from the world."""
    projects, people = world.projects, world.people
    memberships = [(project, people[member]) for project in projects for member in project.members]
    companies = sorted({(p.index, u.company) for p, u in memberships})
    roles = sorted({(p.index, u.role) for p, u in memberships})
    services = ("documentManagement", "projectManagement", "costManagement")
    products = [(project, key) for project in projects for key in ("build", "docs", "cost")]

    def joined(index: int) -> dt.datetime:
        project, person = memberships[index]
        return max(project.created, person.joined) + dt.timedelta(minutes=index, milliseconds=570)

    def member(cells: Callable[[Project, Person], Cells]) -> Special:
        return Special(
            len(memberships),
            joined,
            lambda i: memberships[i][0].index,
            lambda i, _: cells(*memberships[i]),
        )

    def of_account(count: int, cells: Callable[[int], Cells]) -> Special:
        return Special(count, lambda _: EPOCH, lambda _: 0, lambda i, _: cells(i))

    def of_project(found: list[tuple[int, int]], cells: Callable[[Project, int], Cells]) -> Special:
        return Special(
            len(found),
            lambda i: projects[found[i][0]].created,
            lambda i: found[i][0],
            lambda i, _: cells(projects[found[i][0]], found[i][1]),
        )

    return {
        "admin_accounts": of_account(
            1, lambda _: {"bim360_account_id": world.account_id, "display_name": "Sandbox Builders"}
        ),
        "admin_account_services": of_account(3, lambda i: {"service": services[i]}),
        "admin_companies": of_account(
            len(world.companies),
            lambda i: {
                "id": world.uuid("company", i),
                "name": world.companies[i],
                "status": None,  # empty on every row of real extracts
            },
        ),
        "admin_roles": of_account(
            len(world.roles),
            lambda i: {
                "id": world.uuid("role", i),
                "name": world.roles[i],
                "status": "active",
            },
        ),
        "admin_projects": Special(
            len(projects),
            lambda i: projects[i].created,
            lambda i: i,
            lambda i, _: _project(world, projects[i]),
        ),
        "admin_users": Special(
            len(people),
            lambda i: people[i].joined,
            lambda _: 0,
            lambda i, now: _user(world, people[i], now),
        ),
        "admin_project_users": member(
            lambda project, person: {
                "bim360_project_id": project.id,
                "user_id": person.id,
                "status": "active",
                "company_id": world.uuid("company", person.company),
                "access_level": _access(project, person),
            }
        ),
        "admin_project_user_companies": member(
            lambda project, person: {
                "project_id": project.id,
                "user_id": person.id,
                "company_oxygen_id": world.uuid("company", "oxygen", person.company),
            }
        ),
        "admin_project_user_roles": member(
            lambda project, person: {
                "project_id": project.id,
                "user_id": person.id,
                "role_id": world.uuid("role", person.role),
            }
        ),
        "admin_project_user_products": member(
            lambda project, person: {
                "bim360_project_id": project.id,
                "user_id": person.id,
                "product_key": "build",
                "access_level": _access(project, person),
            }
        ),
        "admin_project_companies": of_project(
            companies,
            lambda project, company: {
                "project_id": project.id,
                "company_id": world.uuid("company", company),
                "company_oxygen_id": world.uuid("company", "oxygen", company),
            },
        ),
        "admin_project_roles": of_project(
            roles,
            lambda project, role: {
                "bim360_project_id": project.id,
                "role_oxygen_id": world.code(12, "role", role),
                "name": world.roles[role],
                "status": "active",
                "role_id": world.uuid("role", role),
            },
        ),
        "admin_project_products": of_project(
            [(project.index, number) for number, (project, _) in enumerate(products)],
            lambda project, number: {
                "bim360_project_id": project.id,
                "product_key": products[number][1],
                "status": "active",
            },
        ),
    }


def _access(project: Project, person: Person) -> str:
    return "project_admin" if person.index == project.members[0] else "project_user"


def _project(world: World, project: Project) -> Cells:
    companies = {world.people[member].company for member in project.members}
    return {
        "id": project.id,
        "name": project.name,
        "status": project.status,
        "start_date": timestamp(project.phase[0]),
        "end_date": timestamp(project.phase[1]),
        "value": f"{(project.index + 1) * 1_250_000}.50",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "acc_project": "t",
        "latitude": f"{47 + project.index / 7:.7f}",
        "longitude": f"{8 + project.index / 3:.6f}",
        "business_unit_id": None,
        "total_member_size": str(len(project.members)),
        "total_company_size": str(len(companies)),
        "classification": "production",
    }


def _user(world: World, person: Person, now: dt.datetime) -> Cells:
    """Return a user's cells; these booleans are written 0/1, unlike all others (observed)."""
    seen = last_sign_in(world, person, now)
    return {
        "id": person.id,
        "autodesk_id": person.autodesk_id,
        "email": person.email,
        "name": person.name,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "address_line2": "",
        "last_sign_in": f"{seen:%Y-%m-%d %H:%M:%S} UTC" if seen else None,
        "access_level_account_admin": str(int(person.index == 0)),
        "access_level_project_admin": str(int(person.index < len(world.projects))),
        "access_level_project_member": "1",
        "access_level_executive": str(int(person.index % 40 == 0)),
        "default_role_id": world.uuid("role", person.role),
        "default_company_id": world.uuid("company", person.company),
        "status": "active",
        "status_reason": None,
    }
