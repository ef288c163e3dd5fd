"""What a network is and costs, for people (text, Markdown) and programs (JSON, CSV)."""

from archc.targets.report.layer import layer_text
from archc.targets.report.machine import report_csv, report_json
from archc.targets.report.rows import Report, Row, build_report
from archc.targets.report.table import report_markdown, report_text

__all__ = [
    "Report",
    "Row",
    "build_report",
    "layer_text",
    "report_csv",
    "report_json",
    "report_markdown",
    "report_text",
]
