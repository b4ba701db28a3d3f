"""All files of DATA_ROOT/access together."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tidegate.access.cedar.rules import read_rules
from tidegate.access.files.access_file import FILE_NAME, read_access_file
from tidegate.access.files.problems import Problem, Problems
from tidegate.access.policy import Policy
from tidegate.base.errors import InvalidParameterError

RULES_SUFFIX = ".cedar"


def parse_policy(files: Mapping[str, str], default_role: str = "") -> Policy:
    """The policy of ``files``, texts by name; ``default_role`` counts where ``access.toml`` does not say one.

    Raises InvalidParameterError with every error, a line each.
    """
    policy, problems = read_policy(files, default_role)
    errors = [str(problem) for problem in problems if not problem.warning]
    if errors:
        raise InvalidParameterError("\n".join(errors))
    return policy


def read_policy(files: Mapping[str, str], default_role: str = "") -> tuple[Policy, Sequence[Problem]]:
    """The policy and all that is wrong with it; with an error among the problems it is not to be used."""
    problems = Problems()
    policy = read_access_file(files.get(FILE_NAME, ""), problems)
    rule_files = {name: text for name, text in sorted(files.items()) if name.endswith(RULES_SUFFIX)}
    for name in sorted(files.keys() - rule_files.keys() - {FILE_NAME}):
        mend = f"call it {FILE_NAME}, or NAME{RULES_SUFFIX} for rules in Cedar"
        problems.add(Problem(name, 1, "this file is not read", mend, warning=not name.endswith(".toml")))
    if default_role and default_role not in policy.roles:
        mend = f"roles are {', '.join(sorted(policy.roles))}"
        problems.add(Problem("--default-role", 1, f"there is no role {default_role!r}", mend))
    if rule_files:
        policy = replace(policy, rules=read_rules(rule_files, policy.roles, problems))
    return replace(policy, default_role=policy.default_role or default_role), problems.found
