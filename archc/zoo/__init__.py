"""The zoo: its networks as a table, and new specs that start from one of them."""

from archc.zoo.rows import Network, networks
from archc.zoo.table import list_csv, list_json, list_markdown, list_text

__all__ = ["Network", "list_csv", "list_json", "list_markdown", "list_text", "networks"]
