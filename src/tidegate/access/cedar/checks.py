"""What is wrong with one rule, in words that say where and how to mend it.

The engine parses and checks the rule against the schema; here its messages get a line, and the names that were probably
meant. A message that the engine repeats for each of many actions is told once.
"""

import re
from collections.abc import Collection

from tidegate.access.cedar.schema import actions, parsed_schema
from tidegate.access.cedar.statements import Statement
from tidegate.access.files.problems import Problem, Problems, closest
from tidegate.access.questions import DEMAND_FACTS, OPERATION_FACTS

_QUOTED = re.compile(r"`([^`]+)`")
_ACTION = re.compile(r'Action::"([^"]*)"')
_ROLE = re.compile(r'Role::"([^"]*)"')
_CONSEQUENCE = "unable to find an applicable action"
_EVERY_ACTION = re.compile(r"permit\s*\([^,]*,\s*action\s*,")


def check_statement(statement: Statement, roles: Collection[str], problems: Problems) -> None:
    """Tells the first thing that is wrong with the rule, and what it gives away."""
    import cedarpy

    try:
        parsed = cedarpy.PolicySet.from_str(statement.text)
    except ValueError as error:
        problems.add(_at(statement, str(error), "see https://docs.cedarpolicy.com for the notation"))
        return
    if parsed.templates():
        problems.add(_at(statement, "a template is not a rule", "name the principal instead of ?principal", "?"))
        return
    for role in _ROLE.findall(statement.text):
        if role not in roles:
            mend = f"roles are {', '.join(sorted(roles))}"
            problems.add(_at(statement, f"there is no role {role!r}", mend, f'Role::"{role}"'))
            return
    found = cedarpy.validate_policies(statement.text, parsed_schema()).errors
    if found:
        problems.add(_schema_problem(statement, sorted(error.error for error in found)))
    elif _EVERY_ACTION.search(statement.text):
        message = "this permits every operation and every demand: whoever it is for is root on the host"
        problems.add(_at(statement, message, 'say action == Action::"..." or action in [...]', "permit", warning=True))


def _schema_problem(statement: Statement, messages: list[str]) -> Problem:
    telling = [message for message in messages if _CONSEQUENCE not in message] or messages
    message = re.sub(r"^for policy `[^`]*`, ", "", telling[0])
    names = [name for name in _QUOTED.findall(message) if name in statement.text]
    word = names[0] if names else ""
    for name in _ACTION.findall(word):
        return _at(statement, message, f'did you mean Action::"{closest(name, actions())}"?', word)
    if "in context for" in message:
        operations, demands = ", ".join(OPERATION_FACTS), ", ".join(DEMAND_FACTS)
        more = f" and {len(messages) - 1} more" if len(messages) > 1 else ""
        mend = f"operations have {operations}; demands have {demands}"
        return _at(statement, message.replace(" not found", f"{more} not found"), mend, word)
    return _at(statement, message, "docs/policy.md says what a rule may speak of", word)


def _at(statement: Statement, message: str, mend: str, word: str = "", *, warning: bool = False) -> Problem:
    quoted = _QUOTED.search(message)
    line = statement.line_of(word or (quoted[1] if quoted else ""))
    return Problem(statement.file, line, message, mend, warning)
