"""The Token Flex Usage Data API, version 1, as documented: contracts, usage lists, exports.

Documented: request keys with `:` and `#`, `.csv` appended to the file name, lists that need both
dates, `retry` that acts on `Error` only, irregular timestamps (3 to 6 digits, once without `Z`).
Assumed: the column layout of the files (header = names as requested), dates as YYYY-MM-DD.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import uuid
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from tap_autodesk_exports.sandbox.clock import instant, iso
from tap_autodesk_exports.sandbox.data.dialect import document
from tap_autodesk_exports.sandbox.data.tokens import (
    ADJUSTMENT,
    CATEGORIES,
    CLOUD,
    CONSUMPTION,
    DESKTOP,
    LABELS,
    SERVICE,
    Contract,
    Tokens,
)
from tap_autodesk_exports.sandbox.record import Posted, Served
from tap_autodesk_exports.sandbox.storage import StoredFile
from tap_autodesk_exports.sandbox.timeline import Files, Outcome, Phase, Timeline
from tap_autodesk_exports.sandbox.tokenflex.behaviour import TokenFlexBehaviour
from tap_autodesk_exports.sandbox.tokenflex.query import Invalid, Query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.tokens import Charge, Item
    from tap_autodesk_exports.sandbox.services import Services

LINK_SECONDS = 256
"""Documented example: a request of 22:43:13 has a link that expires at 22:47:29."""
MAX_REQUESTED = 50
LEGACY = {
    DESKTOP: "PRODUCT_CONSUMPTION",
    SERVICE: "CLOUD_CONSUMPTION",
    CLOUD: "CLOUD_PRODUCT_CONSUMPTION",
    ADJUSTMENT: "MANUAL_ADJUSTMENT",
    CONSUMPTION: "MANUAL_CONSUMPTION",
}
"""Categories as `usage/:contract/summary` calls them (documented)."""
ERRORS = {400: "BadRequestError", 403: "ForbiddenError", 404: "NotFoundError"}


@dataclasses.dataclass
class Export:
    """An export request, with its file once it has been written."""

    key: str
    contract: Contract
    query: Query
    file_name: str
    timeline: Timeline
    read: bool = False
    file: StoredFile | None = None
    expires: dt.datetime | None = None


class TokenFlex(TokenFlexBehaviour):
    """The API's state and its routes below `/tokenflex/v1`."""

    def __init__(self, services: Services, folder: Path) -> None:
        super().__init__()
        self._services = services
        self._folder = folder
        self._lock = threading.Lock()
        self._exports: dict[str, Export] = {}
        self._tokens = Tokens(services.world)
        self.blueprint = self._routes()

    def _routes(self) -> flask.Blueprint:
        blueprint = flask.Blueprint("tokenflex", __name__, url_prefix="/tokenflex/v1")
        read, write = "data:read", "data:write"
        one = "/export/<number>/requests/<key>"
        for rule, name, view, method, scope in (
            ("/contract", "contracts", self._contracts, "GET", read),
            ("/contract/<number>", "contract", self._contract_detail, "GET", read),
            ("/contract/<number>/enrichment", "enrichment", self._enrichment, "GET", read),
            ("/usage/<number>/summary", "summary", self._summary, "GET", read),
            ("/usage/<number>/last", "last", self._last, "GET", read),
            ("/export/<number>/requests", "submit", self._submit, "POST", write),
            ("/export/<number>/requests", "list", self._list, "GET", read),
            ("/export/<number>/requests/markRead", "mark_read", self._mark_read, "POST", write),
            (one, "export", self._get, "GET", read),
            (one, "delete", self._delete, "DELETE", write),
            (f"{one}/refreshUrl", "refresh_url", self._refresh_url, "POST", write),
            (f"{one}/retry", "retry", self._retry, "POST", write),
        ):
            guarded = self._services.guarded(view, scope, two_legged=True)
            blueprint.add_url_rule(rule, name, guarded, methods=[method])
        return blueprint

    # Contracts and usage lists.

    def _known(self) -> list[Contract]:
        """Return the contracts that have started; none for a user who is not an admin."""
        today = self._services.clock.now().date()
        return [c for c in self._tokens.contracts if self.admin and c.start <= today]

    def _contract(self, number: str) -> Contract:
        found = [contract for contract in self._known() if contract.number == number]
        if not found:
            _refuse(403, "ForbiddenError", "Invalid contract or access level")
        return found[0]

    def _listed(self, endpoint: str, entries: list[Any]) -> flask.Response:
        self._services.record.add_list("tokenflex", endpoint, len(entries))
        return flask.jsonify(entries)

    def _shape_contract(self, contract: Contract) -> dict[str, Any]:
        return {
            "contractNumber": contract.number,
            "contractName": contract.name,
            "contractStartDate": contract.start.isoformat(),
            "contractEndDate": contract.end.isoformat(),
            "isActive": contract.end >= self._services.clock.now().date(),
        }

    def _contracts(self) -> flask.Response:
        return self._listed("contracts", [self._shape_contract(c) for c in self._known()])

    def _contract_detail(self, number: str) -> flask.Response:
        contract = self._contract(number)
        now = self._services.clock.now()
        provisioned = self._tokens.provisioned()
        years = []
        for year in range(1, contract.years + 1):
            first, last = contract.year(year)
            used = sum(
                float(item["tokensConsumed"])
                for _, item in self._charges(contract, first, last, now)
            )
            years.append(
                {
                    "year": year,
                    "startDate": first.isoformat(),
                    "endDate": last.isoformat(),
                    "provisionedTokens": provisioned,
                    "consumedTokens": used,
                    "remainingTokens": provisioned - used,
                    "multiyearTokensAtStart": 0,
                    "multiyearConsumedTokens": 0,
                }
            )
        self._services.record.add_list("tokenflex", "contract", len(years))
        return flask.jsonify(
            {
                **self._shape_contract(contract),
                "multiyearProvisionedTokens": 0,
                "contractYears": years,
            }
        )

    def _enrichment(self, number: str) -> flask.Response:
        self._contract(number)
        return self._listed("enrichment", list(LABELS))

    def _summary(self, number: str) -> flask.Response:
        contract = self._contract(number)
        arguments = flask.request.args
        now = self._services.clock.now()
        first, last = arguments.get("minUsageMonth"), arguments.get("maxUsageMonth")
        groups: dict[tuple[str, int, str], list[Any]] = {}
        for charge, item in self._charges(contract, contract.start, contract.end, now):
            month, year = str(item["usageMonth"]), int(item["contractYear"])
            category = LEGACY.get(charge.category, charge.category)
            if (
                (first and month < first[:10])
                or (last and month > last[:10])
                or arguments.get("contractYear", str(year)) != str(year)
                or arguments.get("usageCategory", category) != category
            ):
                continue
            groups.setdefault((month, year, category), []).append(item)
        entries = [
            {
                "usageMonth": month,
                "contractYear": year,
                "usageCategory": category,
                "uniqueUsers": len({item["userName"] for item in items}),
                "tokensConsumed": round(sum(item["tokensConsumed"] for item in items), 4),
            }
            for (month, year, category), items in sorted(groups.items())
        ]
        return self._listed("summary", entries)

    def _last(self, number: str) -> flask.Response:
        contract = self._contract(number)
        now = self._services.clock.now()
        plain = self.last_usage_from and now < instant(self.last_usage_from)
        spelling = "documented" if plain else self.last_usage
        if spelling == "empty":
            return self._listed("last", [])
        newest: dict[tuple[str, str], tuple[dt.date, dt.date]] = {}
        for charge, _ in self._charges(contract, contract.start, contract.end, now):
            restated = charge.restated
            processed = restated if restated and restated <= now else charge.known
            key = (charge.category, str(charge.fields["chargeCategory"]))
            day, seen = newest.get(key, (dt.date.min, dt.date.min))
            newest[key] = max(day, charge.day), max(seen, processed.date())
        entries = [
            {
                "usageCategory": _spelled(category, spelling),
                "chargeCategory": charged,
                "lastUsageDate": day.isoformat(),
                "lastProcessDate": processed.isoformat(),
            }
            for (category, charged), (day, processed) in sorted(newest.items())
        ]
        return self._listed("last", entries)

    def _charges(
        self, contract: Contract, first: dt.date, last: dt.date, now: dt.datetime
    ) -> Iterator[tuple[Charge, Item]]:
        """Yield what is known now of a contract's days, and its fields under today's names."""
        begin = dt.date.fromisoformat(self.new_category_from[:10] or f"{dt.date.min}")
        for charge in self._tokens.charges(contract, first, last, now):
            found = [charge]
            if self.new_category and charge.category == SERVICE and charge.day >= begin:
                found.append(charge.under(self.new_category))
            for one in found:
                item = self._services.names.item(one.at(now))
                if item["productLineCode"] in self.swapped_products and "machineName" in item:
                    user, machine = item["userName"], item["machineName"]
                    item = {**item, "userName": machine, "machineName": user}
                yield one, item

    @property
    def _categories(self) -> list[str]:
        return [*CATEGORIES, *([self.new_category] if self.new_category else [])]

    # Exports.

    def _submit(self, number: str) -> flask.Response:
        contract = self._contract(number)
        body = flask.request.get_json(silent=True)
        if not isinstance(body, dict):
            _refuse(400, "BadRequestError", "Invalid request")
        try:
            query = Query(body, self._categories)
        except Invalid as error:
            _refuse(400, "BadRequestError", f"Invalid request: {error}")
        now = self._services.clock.now()
        export = Export(
            key=f"{iso(now, 'seconds').removesuffix('Z')}#{uuid.uuid4()}",
            contract=contract,
            query=query,
            file_name=f"{body.get('downloadFileName') or 'API_Custom_Export'}.csv",
            timeline=self._services.timeline("tokenflex"),
        )
        with self._lock:
            waiting = sum(self._status(e) == "Requested" for e in self._exports.values())
            if waiting >= MAX_REQUESTED:
                _refuse(429, "TooManyRequestsError", "Too many pending export requests")
            self._exports[export.key] = export
        self._services.record.add(Posted("tokenflex", export.key, number, body, now))
        shape = self._shape(export)
        shape.pop("readFlag")
        return flask.jsonify(shape)

    def _status(self, export: Export) -> str:
        if export.timeline.phase(self._services.clock.now()) is not Phase.ENDED:
            return "Requested"
        match export.timeline.outcome:
            case Outcome.SUCCESS:
                return "Download"
            case Outcome.UNKNOWN_STATUS:
                return "Archiving"
            case _:
                return "Error"

    def _export(self, number: str, key: str) -> Export:
        with self._lock:
            export = self._exports.get(key)
        if export is None or export.contract.number != number or not self._is_kept(export):
            _refuse(404, "NotFoundError", "Export request not found")
        if status := export.timeline.flaws.id_status:
            _refuse(status, ERRORS.get(status, "InternalError"), "The request cannot be read")
        return export

    def _is_kept(self, export: Export) -> bool:
        age = self._services.clock.now() - export.timeline.created
        return not self.kept_days or age <= dt.timedelta(days=self.kept_days)

    def _shape(self, export: Export, *, refresh: bool = False) -> dict[str, Any]:
        """Return the documented object, with a link once the file is there."""
        status = self._status(export)
        shape: dict[str, Any] = {
            "requestKey": export.key,
            "requestStatus": status,
            "downloadFileName": _named(export.file_name, self.file_names),
            "exportRequestDate": iso(export.timeline.created, "microseconds"),
            "readFlag": "Y" if export.read else "N",
        }
        if status != "Download":
            return shape
        match export.timeline.flaws.files:
            case Files.NONE:
                return shape
            case Files.NULL:
                return {**shape, "downloadUrl": None, "downloadUrlExpireDate": None}
            case _:
                return {**shape, **self._link(export, refresh=refresh)}

    def _link(self, export: Export, *, refresh: bool) -> dict[str, str]:
        """Return the link, whose expiry is counted from readiness or from `refreshUrl`."""
        now = self._services.clock.now()
        with self._lock:
            if export.file is None:
                export.file = self._make(export)
            if export.expires is None or refresh:
                begin = now if refresh else export.timeline.ended
                export.expires = begin + dt.timedelta(seconds=LINK_SECONDS)
        seconds = (export.expires - now).total_seconds()
        return {
            "downloadUrl": self._services.storage.link(export.file, seconds),
            # Documented irregularities: 3 to 6 digits, and once without a zone.
            "downloadUrlExpireDate": iso(export.expires)
            if refresh
            else iso(export.expires, "microseconds").removesuffix("Z"),
        }

    def _make(self, export: Export) -> StoredFile:
        """Write the file, with the data known when the export ended."""
        now = export.timeline.ended
        first, last = export.query.days()
        charges = self._charges(export.contract, first, last, now)
        rows = export.query.rows(item for _, item in charges)
        folder = self._folder / export.key.partition("#")[2]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "export.csv"
        flaws = export.timeline.flaws
        if flaws.words:
            rows = []
            path.write_text(f"{flaws.words}\n", encoding="utf-8")
        else:
            path.write_bytes(document(export.query.header, rows, bom=False))
        table = Served("tokenflex", "export", export.key, export.file_name, len(rows), path)
        return StoredFile("tokenflex", export.key, path, (table,), status=flaws.link_status)

    def _list(self, number: str) -> flask.Response:
        arguments = flask.request.args
        try:
            begin, end = instant(arguments["fromDate"]), instant(arguments["toDate"])
        except (KeyError, ValueError):
            _refuse(400, "BadRequestError", "fromDate and toDate are required")
        if self.date_times_only and not all("T" in arguments[n] for n in ("fromDate", "toDate")):
            _refuse(400, "BadRequestError", "fromDate and toDate must be date-times")
        self._contract(number)
        shown = self._services.clock.now() - dt.timedelta(seconds=self.listed_after)
        with self._lock:
            exports = list(self._exports.values())
        return self._listed(
            "requests",
            [
                self._shape(export)
                for export in exports
                if export.contract.number == number
                and begin <= export.timeline.created < end
                and export.timeline.created <= shown
                and self._is_kept(export)
            ],
        )

    def _get(self, number: str, key: str) -> flask.Response:
        return flask.jsonify(self._shape(self._export(number, key)))

    def _delete(self, number: str, key: str) -> flask.Response:
        export = self._export(number, key)
        with self._lock:
            self._exports.pop(key, None)
            if export.file is not None:
                export.file.path.unlink(missing_ok=True)
        return flask.Response(status=204)

    def _refresh_url(self, number: str, key: str) -> flask.Response:
        return flask.jsonify(self._shape(self._export(number, key), refresh=True))

    def _retry(self, number: str, key: str) -> flask.Response:
        """Put a failed export back to Requested; without effect on any other."""
        export = self._export(number, key)
        if self._status(export) == "Error":
            export.timeline = dataclasses.replace(
                self._services.timeline("tokenflex"), created=self._services.clock.now()
            )
        return flask.jsonify(self._shape(export))

    def _mark_read(self, number: str) -> flask.Response:
        changed = []
        for key in flask.request.get_json(silent=True) or []:
            export = self._export(number, key)
            if not export.read:
                export.read = True
                changed.append(key)
        return flask.jsonify(changed)


def _named(file_name: str, how: str) -> str:
    """Return a file name as answers spell it (see the switch `file_names`)."""
    match how:
        case "twice":
            return f"{file_name}.csv"
        case "upper":
            return file_name.upper()
        case "underscores":
            return file_name.replace("-", "_")
        case _:
            return file_name


def _spelled(category: str, spelling: str) -> str:
    match spelling:
        case "legacy":
            return LEGACY.get(category, category)
        case "words":
            return category.replace("_", " ").capitalize()
        case "lower":
            return category.lower()
        case _:
            return category


def _refuse(status: int, code: str, message: str) -> NoReturn:
    """Answer the current request with an error; `code` is the API's own word for it."""
    response = flask.jsonify({"Code": code, "Message": f"{code}: {message}"})
    response.status_code = status
    flask.abort(response)
