"""A client of Prometheus: what a query gives now, and which alerts fire."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT_SECONDS = 30.0


class QueryError(RuntimeError):
    """Prometheus refused the query or cannot be reached; the message has its words and the query."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series over time."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]
    """Unix time and value."""


class Prometheus:
    """One server, by the address of its web interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[Sample]:
        """The series that an expression of type scalar or instant vector has now.

        Raises:
            QueryError: it is no such expression, or there was no answer.
        """
        data = self._get("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample(labels={}, value=float(data["result"][1]))]
        if data["resultType"] != "vector":
            raise QueryError(f"gives a {data['resultType']}, not one value for each series: {expression}")
        return [Sample(labels=item["metric"], value=float(item["value"][1])) for item in data["result"]]

    def alerts(self, *, state: str = "firing") -> list[dict[str, Any]]:
        """The alerts that are `firing`, or `pending`: labels, annotations, activeAt.

        Raises:
            QueryError: there was no answer.
        """
        return [alert for alert in self._get("alerts")["alerts"] if alert["state"] == state]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes: labels, scrapeUrl, health, lastError.

        Raises:
            QueryError: there was no answer.
        """
        found: list[dict[str, Any]] = self._get("targets", state="active")["activeTargets"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The rules that it evaluates: name, query, health, lastError.

        Raises:
            QueryError: there was no answer.
        """
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def history(self, expression: str, *, start: float, end: float, step: float) -> list[Series]:
        """What an expression gave from one Unix time to another, every `step` seconds.

        Raises:
            QueryError: it is no such expression, or there was no answer.
        """
        data = self._get("query_range", query=expression, start=str(start), end=str(end), step=str(step))
        return [
            Series(labels=item["metric"], points=tuple((at, float(value)) for at, value in item["values"]))
            for item in data["result"]
        ]

    def is_ready(self) -> bool:
        """Whether it takes queries."""
        try:
            self.query("vector(1)")
        except QueryError:
            return False
        return True

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - an http address
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            words = error.read().decode(errors="replace")
            raise QueryError(f"{words} ({parameters})") from error
        except OSError as error:
            raise QueryError(f"no answer from {self.url}: {error} ({parameters})") from error
