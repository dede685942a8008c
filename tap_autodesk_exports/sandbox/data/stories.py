"""Issues, RFIs, submittals and budgets with a life: their dates, states and amounts agree.

What happens to a row happens at fixed moments, which follow from the seed; a row shows what has
happened until the moment of the extract. The states are documented or observed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.dialect import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tap_autodesk_exports.sandbox.data.rows import Life
    from tap_autodesk_exports.sandbox.data.world import World

    Cells = dict[str, str | None]
    Moments = list[tuple[str, dt.datetime]]

NEVER = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
"""When a step is taken that is not taken."""

EVENTFUL = frozenset(
    {
        "cost_budgets",
        "cost_change_orders",
        "cost_contracts",
        "cost_cost_items",
        "cost_cost_payments",
        "cost_expenses",
        "issues_attachments",
        "issues_comments",
        "issues_custom_attributes",
        "issues_issues",
        "issues_placements",
        "rfis_comments",
        "rfis_rfi_assignees",
        "rfis_rfi_responses",
        "rfis_rfi_reviewers",
        "rfis_rfis",
        "submittalsacc_comments",
        "submittalsacc_items",
    }
)
"""Tables whose rows come as the projects go on, and not half of them at the beginning."""


@dataclasses.dataclass(frozen=True)
class Derived:
    """A table whose rows are steps in the life of another table's rows.

    Attributes:
        target: The other table.
        column: The column that points to it.
        steps: Rows for each of its rows.
    """

    target: str
    column: str
    steps: int = 1


DERIVED = {
    "rfis_rfi_transitions": Derived("rfis_rfis", "rfi_id", 4),
    "submittalsacc_steps": Derived("submittalsacc_items", "item_id"),
    "submittalsacc_tasks": Derived("submittalsacc_steps", "step_id"),
}


class Stories:
    """The lives of a world's rows.

    Args:
        world: What exists.
        life: Returns what is fixed about a row of a table.
    """

    def __init__(self, world: World, life: Callable[[str, int], Life]) -> None:
        self._world = world
        self._life = life

    def project(self, name: str, index: int, created: dt.datetime) -> int:
        """Return the project that a row belongs to: the busiest ones get most."""
        projects = self._world.projects
        weights = [_busy(project.phase, created) for project in projects]
        rng = self._world.random("project of", name, index)
        return rng.choices(range(len(projects)), weights)[0]

    def begins(self, name: str, index: int) -> dt.datetime:
        """Return when a row of a derived table is created."""
        derived = DERIVED[name]
        parent = self._life(derived.target, index // derived.steps)
        if name != TRANSITIONS:
            return parent.created + dt.timedelta(minutes=4)
        moments = self._moments(derived.target, parent.index, parent.created)
        step = index % derived.steps
        return moments[step][1] + dt.timedelta(milliseconds=4) if step < len(moments) else NEVER

    def changes(self, name: str, index: int, created: dt.datetime) -> list[dt.datetime] | None:
        """Return when a row changes after its creation; None where it has no story."""
        if name == TRANSITIONS:
            return []
        if name in DERIVED:
            item = self._item(name, index)
            moments = self._moments(ITEMS, item.index, item.created)
            return [at for state, at in moments if state in {"2", "3"} and at > created]
        if name in TELLERS:
            return [at for _, at in self._moments(name, index, created)[1:]]
        return None

    def cells(
        self, name: str, life: Life, now: dt.datetime, made: Mapping[str, str | None]
    ) -> Cells:
        """Return the cells of a row that follow from what happened to it until `now`."""
        if name == TRANSITIONS:
            return self._transition(life)
        if name not in SHOWN:
            return {}
        row = self._item(name, life.index) if name in DERIVED else life
        moments = self._moments(ITEMS if name in DERIVED else name, row.index, row.created)
        happened = [(state, at) for state, at in moments if at <= now]
        rng = self._world.random("shown", name, life.index)
        return SHOWN[name](rng, row.created, happened, made)

    def _moments(self, name: str, index: int, created: dt.datetime) -> Moments:
        """Return the states of a row and when it takes each; the first one as it is created."""
        return TELLERS[name](self._world.random("story", name, index), created)

    def _item(self, name: str, index: int) -> Life:
        """Return the submittal of a step or a task."""
        derived = DERIVED[name]
        parent = index // derived.steps
        is_item = derived.target == ITEMS
        return self._life(ITEMS, parent) if is_item else self._item(derived.target, parent)

    def _transition(self, life: Life) -> Cells:
        rfi = self._life("rfis_rfis", life.parents["rfi_id"] or 0)
        states = [state for state, _ in self._moments("rfis_rfis", rfi.index, rfi.created)]
        step = life.index % DERIVED[TRANSITIONS].steps
        return {"from_status": states[step - 1] if step else None, "to_status": states[step]}


def _busy(phase: tuple[dt.datetime, dt.datetime], at: dt.datetime) -> float:
    """Return how much goes on in a project: most in its middle, a little all the time."""
    start, end = phase
    done = (at - start) / (end - start)
    return 0.004 + (math.sin(math.pi * done) ** 2 if 0 < done < 1 else 0)


def _after(rng: Random, at: dt.datetime, median_days: float, spread: float = 0.8) -> dt.datetime:
    """Return a moment some days later, as long as such things take: few take very long."""
    days = median_days * math.exp(rng.gauss(0, spread))
    later = at + dt.timedelta(days=max(days, 0.01))
    return later.replace(microsecond=later.microsecond // 1000 * 1000)


def _issue(rng: Random, created: dt.datetime) -> Moments:
    draw = rng.random()
    if draw < 0.03:  # noqa: PLR2004
        return [("draft", created)]
    moments = [("open", created)]
    if draw < 0.06:  # noqa: PLR2004 - forgotten
        return moments
    moments.append((rng.choice(("in_review", "pending")), _after(rng, created, 6)))
    if draw > 0.09:  # noqa: PLR2004
        end = "not_approved" if draw > 0.96 else "closed"  # noqa: PLR2004
        moments.append((end, _after(rng, moments[-1][1], 11)))
    return moments


def _shown_issue(
    rng: Random, created: dt.datetime, happened: Moments, made: Mapping[str, str | None]
) -> Cells:
    state, since = happened[-1]
    over = state in {"closed", "not_approved"}
    due = created.date() + dt.timedelta(days=rng.choice((7, 14, 14, 21, 28)))
    return {
        "status": state,
        "due_date": f"{due} 00:00:00" if rng.random() < 0.85 else None,  # noqa: PLR2004
        "opened_at": timestamp(created),
        "opened_by": made["created_by"],
        "closed_at": timestamp(since) if over else None,
        "closed_by": (made["closed_by"] or made["created_by"]) if over else None,
        "response_at": timestamp(since) if over and made["response"] else None,
        "response": made["response"] if over else None,
        "start_date": None,
        "published": "f" if state == "draft" else "t",
    }


def _rfi(rng: Random, created: dt.datetime) -> Moments:
    draw = rng.random()
    moments = [("draft", created)]
    if draw < 0.03:  # noqa: PLR2004
        return moments
    moments.append((rng.choice(("open", "open", "submitted")), _after(rng, created, 0.3)))
    if draw < 0.05:  # noqa: PLR2004 - without an answer
        return moments
    if draw > 0.97:  # noqa: PLR2004
        return [*moments, ("void", _after(rng, moments[-1][1], 5))]
    moments.append(("answered", _after(rng, moments[-1][1], 6)))
    if draw > 0.1:  # noqa: PLR2004
        moments.append(("closed", _after(rng, moments[-1][1], 2)))
    return moments


def _shown_rfi(
    rng: Random, created: dt.datetime, happened: Moments, made: Mapping[str, str | None]
) -> Cells:
    at = dict(happened)
    opened = at.get("open") or at.get("submitted")
    answered, closed = at.get("answered"), at.get("closed")
    person = made["responded_by"] or made["created_by"]
    due = created.date() + dt.timedelta(days=rng.choice((7, 10, 14)))
    return {
        "status": happened[-1][0],
        "due_date": f"{due} 00:00:00" if opened and rng.random() < 0.9 else None,  # noqa: PLR2004
        "opened_at": timestamp(opened) if opened else None,
        "answered_at": timestamp(answered) if answered else None,
        "answered_by": person if answered else None,
        "responded_at": timestamp(answered) if answered else None,
        "responded_by": person if answered else None,
        "official_response": (made["official_response"] or "Yes.") if answered else None,
        "official_response_status": "answered" if answered else None,
        "closed_at": timestamp(closed) if closed else None,
        "closed_by": person if closed else None,
    }


def _submittal(rng: Random, created: dt.datetime) -> Moments:
    """Tell the life of a submittal in the numbers of its states (documented)."""
    draw = rng.random()
    if draw < 0.04:  # noqa: PLR2004
        return [("6", created)]
    moments = [("1", created)]
    if draw < 0.08:  # noqa: PLR2004
        return [*moments, ("4", _after(rng, created, 20))]
    moments.append(("2", _after(rng, created, 18)))
    if draw > 0.12:  # noqa: PLR2004
        moments.append(("3", _after(rng, moments[-1][1], 12)))
    return moments


STATES = {
    "1": ("Required", "sbc-1"), "2": ("Open", "rev-1"), "3": ("Closed", "mgr-2"),
    "4": ("Void", "void"), "6": ("Draft", "draft"),
}  # fmt: skip
RESPONSES = ("Approved", "Approved", "Approved as noted", "Revise and resubmit", "Rejected")
REVIEW_DAYS = 10


def _shown_submittal(
    rng: Random, created: dt.datetime, happened: Moments, made: Mapping[str, str | None]
) -> Cells:
    at = dict(happened)
    state = happened[-1][0]
    opened, closed = at.get("2"), at.get("3")
    on_job = created.date() + dt.timedelta(days=rng.randrange(45, 150))
    due = (opened or created).date() + dt.timedelta(days=14)
    value, state_id = STATES[state]
    return {
        "status_id": state,
        "status_value": value,
        "state_id": state_id,
        "due_date": f"{due}",
        "required_on_job_date": f"{on_job}" if rng.random() < 0.9 else None,  # noqa: PLR2004
        "required_date": f"{on_job - dt.timedelta(days=21)}",
        "required_approval_date": f"{on_job - dt.timedelta(days=28)}",
        "lead_time": "21",
        "submitter_due_date": f"{created.date() + dt.timedelta(days=14)}",
        "manager_due_date": f"{due}" if opened else None,
        "sent_to_submitter": timestamp(created),
        "received_from_submitter": timestamp(opened) if opened else None,
        "sent_to_review": timestamp(opened) if opened else None,
        "received_from_review": timestamp(closed) if closed else None,
        "responded_at": timestamp(closed) if closed else None,
        "responded_by": (made["responded_by"] or made["created_by"]) if closed else None,
        "response_value": rng.choice(RESPONSES) if closed else None,
        "published_date": timestamp(closed) if closed else None,
    }


def _shown_step(
    rng: Random, _: dt.datetime, happened: Moments, made: Mapping[str, str | None]
) -> Cells:
    at = dict(happened)
    started, completed = at.get("2"), at.get("3")
    status = "completed" if completed else "in-progress" if started else "not-started"
    due = (started + dt.timedelta(days=REVIEW_DAYS)).date() if started else None
    shown = {
        "status": status,
        "step_number": "1",
        "days_to_respond": f"{REVIEW_DAYS}",
        "due_date": f"{due}" if due else None,
        "started_at": timestamp(started) if started else None,
        "completed_at": timestamp(completed) if completed else None,
        "completed_by": made["created_by"] if completed else None,
        "responded_at": timestamp(completed) if completed else None,
        "responded_by": made["created_by"] if completed else None,
        "response_value": rng.choice(RESPONSES) if completed else None,
    }
    return {column: cell for column, cell in shown.items() if column in made}


WORKS = (
    "Earthworks", "Concrete", "Masonry", "Structural steel", "Roofing", "Facade",
    "Doors and windows", "Finishes", "Lifts", "Fire protection", "Plumbing",
    "Heating and ventilation", "Electrical",
    "Site improvements",
)  # fmt: skip


def _budget(rng: Random, created: dt.datetime) -> Moments:
    """A budget is looked at every few weeks; what is spent grows until the work is done."""
    moments = [("0", created)]
    for part in range(1, 9):
        moments.append((str(part), _after(rng, moments[-1][1], 45, 0.4)))
    return moments


def _shown_budget(
    rng: Random,
    _: dt.datetime,
    happened: Moments,
    made: Mapping[str, str | None],  # noqa: ARG001
) -> Cells:
    done = int(happened[-1][0]) / 8
    work = rng.randrange(len(WORKS))
    quantity = rng.randrange(1, 400)
    original = quantity * round(math.exp(rng.gauss(12.2, 0.8)) / quantity)
    amounts: dict[str, float] = {
        "original_amount": original,
        "internal_adjustment": _part(rng, original, 0.3, 0.04),
        "approved_owner_changes": _part(rng, original, 0.35, 0.09),
        "pending_owner_changes": _part(rng, original, 0.2, 0.05),
        "original_commitment": round(original * rng.uniform(0.78, 0.99)) if done else 0,
        "approved_change_orders": _part(rng, original, 0.5, 0.14) if done > 0.3 else 0,  # noqa: PLR2004
        "approved_in_scope_change_orders": _part(rng, original, 0.2, 0.04) if done > 0.3 else 0,  # noqa: PLR2004
        "pending_change_orders": _part(rng, original, 0.3, 0.06),
        "reserves": _part(rng, original, 0.2, 0.05),
        "adjustments_total": _part(rng, original, 0.25, 0.05),
    }
    committed = sum(
        amounts[name]
        for name in (
            "original_commitment", "approved_change_orders", "approved_in_scope_change_orders",
        )
    )  # fmt: skip
    revised = sum(
        amounts[name]
        for name in ("original_amount", "internal_adjustment", "approved_owner_changes")
    )
    projected_budget = revised + amounts["pending_owner_changes"]
    # What is not bought yet will cost what was planned.
    uncommitted = 0 if done else original
    cost = committed + uncommitted + amounts["pending_change_orders"] + amounts["reserves"]
    actual = round(committed * min(1.0, max(0.0, done - 0.1) / 0.85), 2)
    forecast = cost + amounts["adjustments_total"]
    amounts |= {
        "revised": revised,
        "projected_budget": projected_budget,
        "projected_cost": cost,
        "uncommitted": uncommitted,
        "actual_cost": actual,
        "forecast_final_cost": forecast,
        "forecast_variance": projected_budget - forecast,
        "forecast_cost_complete": round(forecast - actual, 2),
        "variance_total": projected_budget - cost,
        "quantity": quantity,
        "unit_price": original // quantity,
    }
    return {
        "code": f"{work + 1:02}-{rng.randrange(100, 999)}",
        "name": WORKS[work],
        "parent_id": None,
        **{name: f"{amount}" for name, amount in amounts.items()},
    }


def _part(rng: Random, amount: int, share: float, most: float) -> int:
    """Return up to `most` of an amount, in a `share` of all cases; else nothing."""
    size = rng.uniform(0, most)
    return round(amount * size) if rng.random() < share else 0


def _change_order(rng: Random, created: dt.datetime) -> Moments:
    moments = [("draft", created), ("submitted", _after(rng, created, 5))]
    draw = rng.random()
    if draw > 0.25:  # noqa: PLR2004
        end = "void" if draw > 0.92 else "approved"  # noqa: PLR2004
        moments.append((end, _after(rng, moments[-1][1], 14)))
    return moments


def _shown_change_order(
    rng: Random,
    _: dt.datetime,
    happened: Moments,
    made: Mapping[str, str | None],  # noqa: ARG001
) -> Cells:
    state, since = happened[-1]
    estimated = rng.randrange(8, 900) * 50
    approved = state == "approved"
    return {
        "form_type": "pco",
        "budget_status": state,
        "cost_status": state,
        "estimated": f"{estimated}",
        "proposed": f"{estimated}",
        "submitted": f"{estimated}" if state != "draft" else None,
        "approved": f"{estimated}" if approved else None,
        "committed": f"{estimated}" if approved else None,
        "approved_at": timestamp(since) if approved else None,
        "status_changed_at": timestamp(since),
    }


def _shown_contract(
    rng: Random, _: dt.datetime, happened: Moments, made: Mapping[str, str | None]
) -> Cells:
    return {
        "code": f"SC-{rng.randrange(100, 999)}",
        "name": rng.choice(WORKS),
        "status": ("draft", "sent", "executed", "closed")[len(happened) - 1],
        "currency": "EUR",
        "exchange_rate": "1",
        "awarded": made["awarded"],
    }


def _contract(rng: Random, created: dt.datetime) -> Moments:
    sent = _after(rng, created, 20)
    executed = _after(rng, sent, 15)
    return [("draft", created), ("sent", sent), ("executed", executed),
            ("closed", _after(rng, executed, 500, 0.3))]  # fmt: skip


ITEMS, TRANSITIONS = "submittalsacc_items", "rfis_rfi_transitions"
TELLERS: dict[str, Callable[[Random, dt.datetime], Moments]] = {
    "issues_issues": _issue,
    "rfis_rfis": _rfi,
    ITEMS: _submittal,
    "cost_budgets": _budget,
    "cost_change_orders": _change_order,
    "cost_contracts": _contract,
}
"""Table -> what happens to one of its rows."""
SHOWN: dict[str, Callable[[Random, dt.datetime, Moments, Mapping[str, str | None]], Cells]] = {
    "issues_issues": _shown_issue,
    "rfis_rfis": _shown_rfi,
    ITEMS: _shown_submittal,
    "submittalsacc_steps": _shown_step,
    "submittalsacc_tasks": _shown_step,
    "cost_budgets": _shown_budget,
    "cost_change_orders": _shown_change_order,
    "cost_contracts": _shown_contract,
}
"""Table -> the cells that follow from what has happened."""
