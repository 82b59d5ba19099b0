"""Write the parts of the documentation that come from the code, or check that they are current.

    python scripts/docs.py            write them
    python scripts/docs.py --check    change nothing; exit status 1 when one is out of date

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end of generated part -->``.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tornado.web import RequestHandler  # noqa: E402 - the path above comes first

from jupyter_remote_kernels import errors  # noqa: E402
from jupyter_remote_kernels.agent.routes import make_routes  # noqa: E402
from jupyter_remote_kernels.agent.websocket import ChannelsHandler  # noqa: E402
from jupyter_remote_kernels.cli.app import RemoteKernelsApp  # noqa: E402
from jupyter_remote_kernels.cli.command import RemoteKernelsCommand  # noqa: E402
from jupyter_remote_kernels.jupyter.config import RemoteKernelsConfig  # noqa: E402
from jupyter_remote_kernels.model.environments import (  # noqa: E402
    Environment,
    Resources,
    VolumeDefaults,
)
from jupyter_remote_kernels.model.phases import (  # noqa: E402
    FINAL_PHASES,
    TABLE,
    Event,
    Phase,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PART = re.compile(
    r"(?P<start><!-- generated: (?P<name>[\w-]+) -->\n)"
    r".*?"
    r"(?P<end><!-- end of generated part -->)",
    re.DOTALL,
)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(item) for item in line) + " |" for line in lines)


def describe_configuration() -> str:
    """Return the traits with their default values and help."""
    rows = []
    for name, trait in sorted(RemoteKernelsConfig.class_own_traits(config=True).items()):
        default = "see below" if name == "environments" else _code(trait.default_value)
        rows.append((_code(f"c.RemoteKernels.{name}"), default, trait.help))
    return make_table(("setting", "default", "meaning"), rows)


def describe_environment_keys() -> str:
    """Return the keys of an environment's table, from the class's own documentation."""
    keys = dict(_read_attributes(Environment))
    for key in ("name", "kind"):
        del keys[key]  # they come from where the table stands
    rows = [(_code(key), *entry) for key, entry in keys.items()]
    return make_table(("key", "type", "meaning"), rows)


def describe_resource_keys() -> str:
    """Return the keys of ``resources``."""
    rows = []
    for key, (kind, text) in _read_attributes(Resources):
        if key == "memory_bytes":
            rows.append(("`memory`", "str or int", f'{text} A size such as `"16GiB"` is fine.'))
        else:
            rows.append((_code(key), kind, text))
    return make_table(("key", "type", "meaning"), rows)


def describe_volume_keys() -> str:
    """Return the keys of ``volume``."""
    rows = [(_code(key), *entry) for key, entry in _read_attributes(VolumeDefaults)]
    return make_table(("key", "type", "meaning"), rows)


def describe_commands() -> str:
    """Return the subcommands with their own flags."""
    rows = _list_commands("jupyter remote-kernels", RemoteKernelsApp.subcommands)
    return make_table(("command", "options", "what it does"), rows)


def _list_commands(before: str, commands: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    inherited = set(RemoteKernelsCommand.flags) - {"json"}
    for name, (command, description) in commands.items():
        own = [f"--{flag}" for flag in sorted(set(command.flags) - inherited)]
        aliases = set(command.aliases) - set(RemoteKernelsCommand.aliases)
        own += [f"--{alias}=…" for alias in sorted(aliases)]
        yield _code(f"{before} {name}"), ", ".join(map(_code, own)), description
        yield from _list_commands(f"{before} {name}", command.subcommands)


def describe_transitions() -> str:
    """Return the rows of the table that change something."""
    rows = [
        (
            _code(phase.value),
            _code(event.value),
            _code(after.phase.value) if after.phase is not phase else "the same",
            ", ".join(_code(action.value) for action in after.actions),
        )
        for (phase, event), after in _sorted_table()
        if after.phase is not phase or after.actions
    ]
    return make_table(("phase", "event", "phase after it", "actions, in this order"), rows)


def describe_ignored_events() -> str:
    """Return which events change nothing, and which are illegal, by phase."""
    rows = []
    for phase in Phase:
        quiet = [
            event
            for event in Event
            if (found := TABLE.get((phase, event))) and found.phase is phase and not found.actions
        ]
        illegal = [event for event in Event if (phase, event) not in TABLE]
        rows.append((_code(phase.value), _list_values(quiet), _list_values(illegal)))
    return make_table(("phase", "fine, and changes nothing", "illegal"), rows)


def describe_events() -> str:
    """Return what each event means, from the comments in the source."""
    source = inspect.getsource(Event)
    rows = []
    for event in Event:
        found = re.search(rf'"{event.value}"  # (.+)', source)
        wanted = event.value.removeprefix("want_")
        text = found.group(1) if found else f"somebody set the target to `{wanted}`"
        rows.append((_code(event.value), text))
    return make_table(("event", "meaning"), rows)


def draw_phases() -> str:
    """Return the diagram of phases."""
    arrows: dict[tuple[Phase, Phase], list[str]] = defaultdict(list)
    for (phase, event), after in _sorted_table():
        if after.phase is not phase:
            arrows[phase, after.phase].append(event.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.SUBMITTED.value}"]
    for (before, after_phase), events in arrows.items():
        lines.append(f"    {before.value} --> {after_phase.value}: {' / '.join(events)}")
    lines += [f"    {phase.value} --> [*]" for phase in Phase if phase in FINAL_PHASES]
    return "\n".join([*lines, "```"])


def describe_agent_routes() -> str:
    """Return the routes of an agent."""
    rows = []
    # The routes only carry the session along; nothing here serves a request.
    for pattern, handler, _ in make_routes(cast("Any", None), ChannelsHandler):
        if pattern == r"/.*":
            continue
        methods = [
            name.upper()
            for name in ("get", "post", "put", "patch", "delete")
            if getattr(handler, name) is not getattr(RequestHandler, name)
        ]
        path = pattern.replace(r"([\w-]+)", "{id}").replace("(interrupt|restart)", "{action}")
        text = (inspect.getdoc(handler) or "").splitlines()[0]
        rows.append((", ".join(methods), _code(path), text))
    return make_table(("methods", "path", "what it is"), rows)


def draw_errors() -> str:
    """Return the tree of errors."""
    tree = (errors.__doc__ or "").partition("::\n")[2]
    return f"```text\n{inspect.cleandoc(tree)}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "agent-routes": describe_agent_routes,
    "commands": describe_commands,
    "configuration": describe_configuration,
    "environment-keys": describe_environment_keys,
    "errors": draw_errors,
    "events": describe_events,
    "ignored-events": describe_ignored_events,
    "phases": draw_phases,
    "resource-keys": describe_resource_keys,
    "transitions": describe_transitions,
    "volume-keys": describe_volume_keys,
}


def update(text: str) -> str:
    """Return a page with its generated parts made anew."""
    return _PART.sub(
        lambda found: f"{found['start']}\n{PARTS[found['name']]()}\n\n{found['end']}", text
    )


def main() -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    parser.add_argument("pages", nargs="*", type=Path, help="pages; all by default")
    options = parser.parse_args()
    outdated = []
    for page in options.pages or sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        before = page.read_text(encoding="utf-8")
        after = update(before)
        if after != before:
            outdated.append(page)
            if not options.check:
                page.write_text(after, encoding="utf-8")
    for page in outdated:
        print(f"{page}: {'out of date; run scripts/docs' if options.check else 'written'}")
    return 1 if outdated and options.check else 0


def _read_attributes(kind: type[Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield name, type and meaning of a class's attributes from its numpy-style docstring."""
    text = (inspect.getdoc(kind) or "").partition("Attributes\n----------\n")[2]
    found = re.findall(r"^(\w[\w, ]*) : (.+)\n((?:    .+\n?)+)", text, re.MULTILINE)
    named = [name for names, _, _ in found for name in names.split(", ")]
    if named != [item.name for item in fields(kind)]:
        raise SystemExit(f"the attributes of {kind.__name__} are not all documented, in order")
    for names, annotation, meaning in found:
        for name in names.split(", "):
            yield name, (annotation, meaning)


def _sorted_table() -> list[tuple[tuple[Phase, Event], Any]]:
    phases, events = list(Phase), list(Event)
    return sorted(
        TABLE.items(), key=lambda item: (phases.index(item[0][0]), events.index(item[0][1]))
    )


def _list_values(events: Iterable[Event]) -> str:
    return ", ".join(_code(event.value) for event in events)


def _code(value: object) -> str:
    return f"`{value}`"


def _cell(text: str) -> str:
    """Return text that fits a table: one line, code in Markdown's way, bars escaped."""
    return " ".join(text.replace("``", "`").split()).replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main())
