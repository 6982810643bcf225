"""Every way in which one deliberate value or decision of a source file is broken, one at a time.

Broken are:

- numbers (one more), booleans (the other one), texts (each number in it one more, of an amount with its unit twice and
  one more; where there is none, a letter more);
- a setting of an object of an SDK: left out, where its value is not a plain one, which is broken by itself;
- comparisons, `and`, `or`, conditions and arithmetic: the opposite or the neighbouring one;
- a call whose result nobody uses: left out.

Not broken is what does not decide what is installed: documentation, types, decorators, and what only a person reads, in
an error, in a fault of the config or in the help of a command line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
}
# Calls that take words for a person: errors and faults, a command line, and what it prints.
_TELLS_A_PERSON = re.compile(r"(Error|Fault|rule_broken|add_argument|ArgumentParser|\.write)$")
# What a function returns that says in words which rule is broken, or how to mend it.
_WORDS = re.compile(r"(_fault|_rule|_remedy)$")
_AMOUNT = re.compile(r"^\d+([mKMG]i?|%)$")
_NAMES_TYPES = {"cast", "TypedDict", "TypeVar"}


@dataclass(frozen=True)
class Mutation:
    """One way to break a file.

    Attributes:
        path: of the file, from the project's folder.
        line: where it is broken.
        scope: the function or class around it, dotted; empty at the module's own level.
        change: what was there, and what is there instead.
        kind: whether it takes something out, turns a condition round or changes a value; those of one kind can be
            applied together.
        tree: the file's; shared by all mutations of the file.
        apply: changes the tree, for good.
    """

    path: str
    line: int
    scope: str
    change: str
    kind: str
    tree: ast.Module
    apply: Callable[[], None]

    @property
    def key(self) -> str:
        """Its name for as long as the code around it stays: without a line number."""
        return f"{self.path} {self.scope or '(module)'}: {self.change}"


def mutations(path: str, source: str) -> list[Mutation]:
    """Return every mutation of one file, by lines.

    Args:
        path: of the file, from the project's folder.
        source: its text.
    """
    return sorted(_Finder(path, ast.parse(source)).found(), key=lambda mutation: mutation.line)


class _Finder:
    """Walks a file; knows which names in it are an SDK's."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self._path = path
        self._tree = tree
        self._sdk = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).startswith("pulumi")
        }

    def found(self) -> Iterator[Mutation]:
        yield from self._below(self._tree, "")

    def _below(self, node: ast.AST, scope: str) -> Iterator[Mutation]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            scope = f"{scope}.{node.name}".lstrip(".")
        for number, (line, change, apply) in enumerate(self._of(node)):
            value = isinstance(node, ast.Constant)
            # Of one constant's, what is applied last would undo the others.
            kind = "removal" if change.endswith("left out") else f"value {number}" if value else "condition"
            yield Mutation(self._path, line, scope, change, kind, self._tree, apply)
        for child in _children(node, scope):
            yield from self._below(child, scope)

    def _of(self, node: ast.AST) -> Iterator[tuple[int, str, Callable[[], None]]]:
        """Yield line, change and how to apply it, of what is broken in this very node."""
        if isinstance(node, ast.Constant):
            for broken in map(ast.Constant, _broken(node.value)):
                yield node.lineno, f"{_short(node)} -> {_short(broken)}", partial(setattr, node, "value", broken.value)
        elif isinstance(node, ast.Compare):
            for index, old in enumerate(node.ops):
                new = ast.Compare(
                    node.left, [*node.ops[:index], _COMPARISONS[type(old)](), *node.ops[index + 1 :]], node.comparators
                )
                yield (
                    node.lineno,
                    f"{_short(node)} -> {_short(new)}",
                    partial(node.ops.__setitem__, index, new.ops[index]),
                )
        elif isinstance(node, ast.BoolOp):
            new = ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
            yield node.lineno, f"{_short(node)} -> {_short(new)}", partial(setattr, node, "op", new.op)
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and not _is_joined(node):
            new = ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
            yield node.lineno, f"{_short(node)} -> {_short(new)}", partial(setattr, node, "op", new.op)
        elif isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare):
            new = ast.UnaryOp(ast.Not(), node.test)
            yield node.lineno, f"if {_short(node.test)} -> if {_short(new)}", partial(setattr, node, "test", new)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield node.lineno, f"{_short(node)} -> left out", partial(setattr, node, "value", ast.Constant(None))
        elif isinstance(node, ast.Call) and _root(node.func) in self._sdk:
            for keyword in node.keywords:
                if keyword.arg is not None and not isinstance(keyword.value, ast.Constant):
                    change = f"{ast.unparse(node.func)}: {_short(keyword)} -> left out"
                    yield keyword.value.lineno, change, partial(node.keywords.remove, keyword)


def _children(node: ast.AST, scope: str) -> Iterator[ast.AST]:
    """Yield the parts of a node in which a value may decide something."""
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if _TELLS_A_PERSON.search(name) or name in _NAMES_TYPES:
            yield from () if name != "cast" else node.args[1:]
            return
    if isinstance(node, ast.Return) and _WORDS.search(scope) and node.value is not None:
        yield from (part for part in ast.iter_child_nodes(node.value) if isinstance(part, ast.Compare | ast.Call))
        return
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and _root(node.test.left) == "__name__":
        return
    skipped: list[ast.AST] = []
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        skipped = [*node.decorator_list]
    types: list[ast.AST | None] = []
    if isinstance(node, ast.arg | ast.AnnAssign):
        types = [node.annotation]
    elif isinstance(node, ast.FunctionDef):
        types = [node.returns]
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("Annotated", "Literal"):
        types = [node.slice]
    for child in ast.iter_child_nodes(node):
        if child in types:
            # Of a type, only what checks its values decides something.
            yield from (part for part in ast.walk(child) if isinstance(part, ast.Call))
        elif child not in skipped:
            yield child


def _is_joined(node: ast.BinOp) -> bool:
    """Return whether texts or lists are joined, where there is no neighbouring operation."""
    kinds = ast.List | ast.Tuple | ast.JoinedStr
    return any(
        isinstance(side, kinds) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _broken(value: object) -> Iterator[bool | float | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        # Of an amount, one more may be as good.
        factor = 2 if _AMOUNT.search(value) else 1
        numbers = list(re.finditer(r"\d+", value))
        for number in numbers:
            yield f"{value[: number.start()]}{int(number[0]) * factor + 1}{value[number.end() :]}"
        if not numbers:
            yield f"{value}x"


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:60]} ... {text[-25:]}"
