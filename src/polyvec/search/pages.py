"""The pages that a browser shows: their templates, and what they may load."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A page may load nothing but answers of its server."""


def render(template: str, **values: object) -> str:
    """Fill in one of the templates of this room; texts are escaped.

    Args:
        template: name of its file.
        values: all that it asks for.
    """
    environment = Environment(
        loader=PackageLoader("polyvec.search"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(**values)
