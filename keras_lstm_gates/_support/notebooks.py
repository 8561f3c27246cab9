"""What objects show of themselves in a notebook."""

import dataclasses
import html
from pathlib import Path


def table(caption, head, rows):
    """A table in HTML, its texts escaped.

    Example:
        >>> table("a < b", ["name"], [["x"]])
        '<table><caption>a &lt; b</caption><tr><th>name</th></tr><tr><td>x</td></tr></table>'
    """
    return (
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>"
        + "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
        + "</table>"
    )


class Tabled:
    """A dataclass that a notebook shows as a table of the values that are not the defaults."""

    def _repr_html_(self):
        fields = dataclasses.fields(self)
        needed = {field.name: getattr(self, field.name) for field in fields if _has_no_default(field)}
        default = type(self)(**needed)
        values = {field.name: getattr(self, field.name) for field in fields}
        rows = [(name, value) for name, value in values.items() if value != getattr(default, name)]
        named = ", ".join(map(str, needed.values()))
        return table(f"{type(self).__name__} for {named}, else as by default", ("key", "value"), rows)


def _has_no_default(field):
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


class Page(type(Path())):  # type: ignore[misc]  # before Python 3.12 no subclass of Path itself works
    """The path of an HTML page; a notebook shows the page itself."""

    def _repr_html_(self):
        # In the output itself, because a notebook's server need not serve the page's folder.
        page = html.escape(self.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" width="100%" height="900" style="border: 0"></iframe>'
