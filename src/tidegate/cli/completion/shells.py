"""Scripts that complete ``tidegate`` in bash, zsh and fish, from the tree of what may be typed. Pure.

Each finds the command that has been typed so far (``at``: " audit verify"), then either the value of the option before
the cursor or what the command takes. What has no listed values is completed as a file's name.
"""

from collections.abc import Callable, Iterable, Mapping

from tidegate.cli.completion.tree import Node, Option, walk

_BASH = """\
# bash completion of tidegate; made by `tidegate completion bash`.
_tidegate() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at="" words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${COMP_WORDS[i]}" in
            @PATHS@) at="$at ${COMP_WORDS[i]}" ;;
        esac
    done
    case "$at $prev" in
@VALUES@
    esac
    case "$at" in
@WORDS@
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    [[ ${#COMPREPLY[@]} -gt 0 ]] || { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
}
complete -F _tidegate tidegate
"""
_BASH_LISTED = '        @CASE@) mapfile -t COMPREPLY < <(compgen -W "@WORDS@" -- "$cur"); return ;;'
_BASH_FILES = '        @CASE@) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;'

_ZSH = """\
#compdef tidegate
# zsh completion of tidegate; made by `tidegate completion zsh`.
_tidegate() {
    local at="" word
    local -a found
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$at $word" in
            (@PATHS@) at="$at $word" ;;
        esac
    done
    case "$at ${words[CURRENT-1]}" in
@VALUES@
    esac
    case "$at" in
@WORDS@
    esac
    _describe tidegate found || _files
}
_tidegate "$@"
"""
_ZSH_LISTED = "        (@CASE@) compadd -- @WORDS@; return ;;"
_ZSH_FILES = "        (@CASE@) _files; return ;;"

_FISH = """\
# fish completion of tidegate; made by `tidegate completion fish`.
function __tidegate_at
    set -l at ""
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
            case @PATHS@
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
@LINES@
"""


def script(shell: str, tree: Node) -> str:
    """The script for one of ``SHELLS``."""
    return SHELLS[shell](tree)


def _bash(tree: Node) -> str:
    words = [f'        {_quoted(at)}) words="{" ".join(_typed(node))}" ;;' for at, node in walk(tree)]
    return _filled(
        _BASH, PATHS="|".join(_paths(tree)), VALUES=_values(tree, _BASH_LISTED, _BASH_FILES), WORDS="\n".join(words)
    )


def _zsh(tree: Node) -> str:
    words = []
    for at, node in walk(tree):
        told = [(name, each.help) for each in node.options for name in each.names]
        told += [(each.name, each.help) for each in node.nodes] + [(each, "") for each in node.arguments]
        listed = " ".join(_quoted(f"{_colon(name)}:{text}") for name, text in told)
        words.append(f"        ({_quoted(at)}) found=({listed}) ;;")
    return _filled(
        _ZSH, PATHS="|".join(_paths(tree)), VALUES=_values(tree, _ZSH_LISTED, _ZSH_FILES), WORDS="\n".join(words)
    )


def _fish(tree: Node) -> str:
    lines = []
    for at, node in walk(tree):
        here = f'complete -c tidegate -n "__tidegate_at {_quoted(at)}"'
        lines += [f"{here} -f -a {each.name} -d {_quoted(each.help)}" for each in node.nodes]
        lines += [f"{here} -f -a {each}" for each in node.arguments]
        lines += [f"{here} {_fish_option(each)}" for each in node.options]
    return _filled(_FISH, PATHS=" ".join(_paths(tree)), LINES="\n".join(lines))


def _fish_option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    values = f" -x -a {_quoted(' '.join(option.values))}" if option.values else " -r" if option.takes_value else " -f"
    return f"{names}{values} -d {_quoted(option.help)}"


SHELLS: Mapping[str, Callable[[Node], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _paths(tree: Node) -> list[str]:
    return [_quoted(at) for at, _ in walk(tree) if at]


def _typed(node: Node) -> Iterable[str]:
    names = (name for option in node.options for name in option.names)
    return (*(each.name for each in node.nodes), *node.arguments, *names)


def _values(tree: Node, listed: str, files: str) -> str:
    """A line for each list of values, with the places where one of them may be given."""
    cases: dict[tuple[str, ...], list[str]] = {}
    for at, node in walk(tree):
        for option in node.options:
            if option.takes_value:
                cases.setdefault(option.values, []).extend(_quoted(f"{at} {name}") for name in option.names)
    return "\n".join(
        _filled(listed if values else files, CASE="|".join(places), WORDS=" ".join(values))
        for values, places in cases.items()
    )


def _filled(template: str, **texts: str) -> str:
    for name, text in texts.items():
        template = template.replace(f"@{name}@", text)
    return template


def _quoted(text: str) -> str:
    """As one word of any of the three shells: none has a meaning for what stands between single quotes but their end.

    fish alone reads a backslash there, which no help text has.
    """
    return "'" + text.replace("'", "’") + "'"


def _colon(text: str) -> str:
    """zsh's ``_describe`` ends a word at a colon."""
    return text.replace(":", "\\:")
