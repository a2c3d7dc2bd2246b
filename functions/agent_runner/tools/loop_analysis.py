"""Loops that multiply: what a Python snippet's syntax tree tells of its running time.

Pure, and only parses: the snippet is never compiled to run, imported or executed. The walk keeps its
own stack, so nesting that the parser took cannot exhaust the interpreter's.
"""

import ast
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

DEEP = 3  # loops inside each other from which on they are reported

_PARSER = threading.Lock()
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class LoopSmell:
    """A place whose work multiplies with the size of its data.

    Attributes:
        line: from 1.
        name: `nested-loops` or `list-membership`.
        message: one sentence.
    """

    line: int
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Measures:
    """Basic measures of a snippet: functions, the most loops inside each other, and the smells by line."""

    functions: int
    deepest_loop: int
    smells: tuple[LoopSmell, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, the number of loops around it within its function, and the innermost of them."""

    node: ast.AST
    loops: int
    inside: int  # id of the innermost loop; 0 is none


def measure(code: str) -> Measures:
    """Measure a snippet.

    Raises:
        SyntaxError: this Python cannot parse it.
        ValueError: it holds a NUL or a lone surrogate.
        RecursionError, MemoryError: it is nested deeper than the parser can follow.
    """
    tree = _parsed(code)
    lists = _list_names(tree)
    loops: dict[int, tuple[int, int]] = {}
    holders: set[int] = set()
    smells: list[LoopSmell] = []
    functions = 0
    stack = [_Place(tree, 0, 0)]
    while stack:
        place = stack.pop()
        functions += isinstance(place.node, _Function)
        for inner in _below(place):
            stack.append(inner)
            if inner.loops > place.loops:
                loops[inner.inside] = (getattr(place.node, "lineno", 1), inner.loops)
                holders.add(place.inside)
        if place.loops and isinstance(place.node, ast.Compare):
            smells += _memberships(place.node, place.loops, lists)
    deepest = max((depth for _, depth in loops.values()), default=0)
    smells += [
        LoopSmell(line, "nested-loops", f"{depth} loops inside each other")
        for loop, (line, depth) in loops.items()
        if depth >= DEEP and loop not in holders
    ]
    return Measures(functions, deepest, tuple(sorted(set(smells), key=lambda smell: (smell.line, smell.name))))


def _parsed(code: str) -> ast.Module:
    # The parser warns of odd escapes in the snippet; warning filters belong to the process, hence the lock.
    with _PARSER, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _below(place: _Place) -> Iterator[_Place]:
    """Yield the children of a node, each with the loops around it."""
    node, loops = place.node, place.loops
    if isinstance(node, ast.For | ast.AsyncFor | ast.While):
        repeated: list[ast.AST] = [node.test, *node.body] if isinstance(node, ast.While) else list(node.body)
        once: list[ast.AST] = [*node.orelse] if isinstance(node, ast.While) else [node.iter, *node.orelse]
        yield from (_Place(child, loops, place.inside) for child in once)
        yield from (_Place(child, loops + 1, id(node)) for child in repeated)
    elif isinstance(node, _COMPREHENSIONS):
        yield from _inside_comprehension(node, place)
    else:
        new_scope = isinstance(node, _Function | ast.Lambda | ast.ClassDef)
        around, inside = (0, 0) if new_scope else (loops, place.inside)
        yield from (_Place(child, around, inside) for child in ast.iter_child_nodes(node))


def _inside_comprehension(node: _Comprehension, place: _Place) -> Iterator[_Place]:
    inside = place.inside
    for depth, generator in enumerate(node.generators):
        yield _Place(generator.iter, place.loops + depth, inside)
        inside = id(node)
        yield from (_Place(test, place.loops + depth + 1, inside) for test in generator.ifs)
    results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    yield from (_Place(result, place.loops + len(node.generators), inside) for result in results)


def _memberships(node: ast.Compare, loops: int, lists: frozenset[str]) -> Iterator[LoopSmell]:
    for operator, searched in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            named = isinstance(searched, ast.Name) and searched.id in lists
            if named or _makes_list(searched):
                what = f"the list `{ast.unparse(searched)}`" if named else "a list made on the spot"
                around = "a loop" if loops == 1 else f"{loops} loops inside each other"
                yield LoopSmell(node.lineno, "list-membership", f"Membership test on {what}, in {around}")


def _makes_list(node: ast.AST | None) -> bool:
    if isinstance(node, ast.List):
        return not all(isinstance(element, ast.Constant) for element in node.elts)  # constants become a tuple, and few
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in {"list", "sorted"}
    return isinstance(node, ast.ListComp)


def _list_names(tree: ast.AST) -> frozenset[str]:
    """Find the names that hold lists and never anything else, as far as the snippet shows."""
    bound: Counter[str] = Counter()
    as_list: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound[node.id] += 1
        elif isinstance(node, ast.arg):
            bound[node.arg] += 1
            as_list[node.arg] += _says_list(node.annotation)
        elif isinstance(node, ast.Assign) and (_makes_list(node.value) or isinstance(node.value, ast.List)):
            as_list.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            as_list[node.target.id] += _says_list(node.annotation)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            bound[node.target.id] -= 1  # `names += more` leaves a list a list
    return frozenset(name for name, times in as_list.items() if times and times == bound[name])


def _says_list(annotation: ast.AST | None) -> bool:
    named = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(named, ast.Name) and named.id in {"list", "List"}
