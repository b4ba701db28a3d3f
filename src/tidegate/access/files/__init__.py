"""The files of DATA_ROOT/access, read: text in, a policy out, and what is wrong with the text.

``access.toml`` has roles and who has them; any ``*.cedar`` has rules in Cedar. Another ``*.toml`` is an error, so that
a misspelt name does not leave a policy out; what else lies there is warned of.
"""

from tidegate.access.files.policy_files import parse_policy, read_policy
from tidegate.access.files.problems import Problem

__all__ = ["Problem", "parse_policy", "read_policy"]
