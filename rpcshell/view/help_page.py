"""The help of a command as a page: its options under headings, and below them what else there is to know."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click


class _GroupedOption(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


def grouped_option(*names: str, group: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator of click for an option that stands under a heading."""
    return click.option(*names, cls=_GroupedOption, group=group, **attributes)


class HelpPage(click.Command):
    """A command whose help is a whole page.

    `sections` gives rows by their headings, each a text, or a term and what it means. Options without a heading of
    their own stand under `ungrouped`.
    """

    def __init__(
        self,
        *args: Any,
        sections: Callable[[], Mapping[str, Iterable[str | tuple[str, str]]]],
        ungrouped: str = "Options",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self._ungrouped = ungrouped

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group in the order in which they were declared."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", self._ungrouped), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what there is to know beside the options."""
        del ctx
        for heading, rows in self._sections().items():
            with formatter.section(heading):
                terms = [row for row in rows if not isinstance(row, str)]
                if terms:
                    formatter.write_dl(terms)
                for row in rows:
                    if isinstance(row, str):
                        formatter.write_text(row)
