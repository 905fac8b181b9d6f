"""Tells each run as OpenLineage events: to a file, or to a server such as Marquez or DataHub.

A run that did something is a run of the job `run`; each step that changed or failed is a run of the job `layer.table` below it.
Tables are named as OpenLineage's naming page says: by the place of the lake and the path in it, a source's by its server and database.
An event never has a value of a row; what cannot be delivered is told on stderr and never fails the run.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    error_message_run,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
)
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider
from openlineage.client.uuid import generate_static_uuid

from lakehouse.layout import LAYERS, azure_parts, folder_of, is_azure, table_uri
from lakehouse.pipeline.lineage import lineage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openlineage.client.transport import Transport

    from lakehouse.lake import Lake
    from lakehouse.model.lineage import Lineage
    from lakehouse.model.run import Run as Report
    from lakehouse.model.run import Step

PRODUCER = f"lakehouse/{version('lakehouse')}"
_SCHEMES = {"postgresql": "postgres", "mariadb": "mysql", "sqlserver": "mssql"}
_RETRIES = {"total": 2, "backoff_factor": 0.2, "status_forcelist": [500, 502, 503, 504], "allowed_methods": ["POST"]}
_SECONDS = 3.0
_log = logging.getLogger("lakehouse.openlineage")


def tell(lake: Lake, report: Report) -> None:
    """Deliver the events of a run, in order."""
    try:
        client = OpenLineageClient(transport=_transport(lake))
        for event in events(lake, report):
            client.emit(event)
    except Exception as exc:  # noqa: BLE001  the run is done, whatever becomes of its events
        _log.warning("the OpenLineage events of run %s were not delivered: %s", report.run_id, type(exc).__name__)


def _transport(lake: Lake) -> Transport:
    place, key = lake.settings.openlineage, lake.settings.openlineage_key
    if place.startswith(("http://", "https://")):
        auth = TokenProvider({}) if key is None else ApiKeyTokenProvider({"apiKey": key.get_secret_value()})
        return HttpTransport(HttpConfig(url=place, timeout=_SECONDS, retry=_RETRIES, auth=auth))
    return FileTransport(FileConfig(str(lake.project / place), append=True))


def events(lake: Lake, report: Report) -> Iterator[RunEvent]:
    """The events of a run that has ended: its own beginning, both of each step that changed or failed, and its own end."""
    namespace = lake.project.name
    began, ended = report.started_at, report.started_at + timedelta(seconds=report.seconds)
    own = str(generate_static_uuid(began, report.run_id.encode()))
    job = Job(namespace, "run")
    parent = parent_run.ParentRunFacet(parent_run.Run(own), parent_run.Job(namespace, "run"), producer=PRODUCER)
    known = lineage(lake)
    yield _event(RunState.START, began, Run(own), job)
    for step in report.steps:
        if step.status in ("success", "failed") and step.step in LAYERS:
            run = Run(str(generate_static_uuid(began, f"{report.run_id}/{step.step}.{step.table}".encode())), {"parent": parent})
            of = Job(namespace, f"{step.step}.{step.table}")
            yield _event(RunState.START, began, run, of)
            failed = step.status == "failed"
            yield _event(RunState.FAIL if failed else RunState.COMPLETE, ended, _with_error(run, step), of, _datasets(lake, known, step))
    states = {"failed": RunState.FAIL, "interrupted": RunState.ABORT}
    yield _event(states.get(report.status, RunState.COMPLETE), ended, Run(own), job)


def _event(state: RunState, at: Any, run: Run, job: Job, datasets: tuple[list[Any], list[Any]] = ([], [])) -> RunEvent:  # noqa: ANN401
    return RunEvent(eventType=state, eventTime=at.isoformat(), run=run, job=job, producer=PRODUCER, inputs=datasets[0], outputs=datasets[1])


def _with_error(run: Run, step: Step) -> Run:
    if not step.error:
        return run
    told = error_message_run.ErrorMessageRunFacet(step.error.get("message", ""), "python", producer=PRODUCER)
    return Run(run.runId, {**(run.facets or {}), "errorMessage": told})


def _datasets(lake: Lake, known: Lineage, step: Step) -> tuple[list[InputDataset], list[OutputDataset]]:
    node = f"{step.step}.{step.table}"
    inputs = [InputDataset(*_named(lake, edge.from_)) for edge in known.tables if edge.to == node]
    fields: dict[str, list[column_lineage_dataset.InputField]] = {}
    for edge in known.columns:
        if edge.to == node:
            fields.setdefault(edge.to_column, []).append(column_lineage_dataset.InputField(*_named(lake, edge.from_), edge.from_column))
    facets: dict[str, Any] = {
        "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(
            {name: column_lineage_dataset.Fields(sources) for name, sources in fields.items()}, producer=PRODUCER
        )
    }
    table = lake.table(step.step, step.table)
    if table is not None:
        shape = [schema_dataset.SchemaDatasetFacetFields(field.name, str(field.type)) for field in table.schema]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(shape, producer=PRODUCER)
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(step.rows_out, step.bytes, producer=PRODUCER)
    return inputs, [OutputDataset(*_named(lake, node), {"outputStatistics": written}, facets=facets)]


def _named(lake: Lake, node: str) -> tuple[str, str]:
    """(namespace, name) of a table of the lake or of a source."""
    layer, _, name = node.partition(".")
    if layer in lake.layers:
        uri = table_uri(lake.layers[layer], name)
        if is_azure(uri):
            container, account, path = azure_parts(uri)
            return f"abfss://{container}@{account or lake.settings.azure.account}.dfs.core.windows.net", path
        return "file", folder_of(uri)
    source, _, table = name.partition(".")
    url = lake.settings.connection.get(lake.catalog.sources[source].connection)
    if url is None:
        return source, table
    parts = urlsplit(url.get_secret_value())
    scheme = parts.scheme.partition("+")[0]
    if scheme == "sqlite":
        return "file", f"{parts.path}/{table}"
    host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    return f"{_SCHEMES.get(scheme, scheme)}://{host}", ".".join([*filter(None, [parts.path.strip("/")]), table])
