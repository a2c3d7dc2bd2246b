"""CloudWatch's metric math, as much of it as the alarms use: FILL, IF, + - * /, comparisons, AND, OR.

The rules are those of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html; what is
not here raises, so no alarm is judged by a guess.
"""

import ast
import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

Series: TypeAlias = Sequence[float | None]
"""One value for each period, None where there is none."""
Operand: TypeAlias = float | Series

_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[float, float], bool]]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class NotInTheSubset(Exception):
    """The expression has something that is not known here."""


def evaluate(expression: str, series: Mapping[str, Series]) -> Series:
    """Return the series that an expression yields.

    Raises:
        NotInTheSubset: something in it is not known, or it yields one number only, which CloudWatch refuses.
    """
    found = _value(_parsed(expression), series)
    if not isinstance(found, Sequence):
        raise NotInTheSubset(f"{expression} yields a number, not a series")
    return found


@functools.cache
def _parsed(expression: str) -> ast.expr:
    """Read an expression, which is Python's but for the words AND and OR."""
    python = re.sub(r"\bOR\b", "or", re.sub(r"\bAND\b", "and", expression))
    return ast.parse(python, mode="eval").body


def _value(node: ast.expr, series: Mapping[str, Series]) -> Operand:  # noqa: PLR0911 - a case for each kind
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return series[name]
        case ast.BinOp(left, sign, right) if type(sign) in _ARITHMETIC:
            return _joined(_ARITHMETIC[type(sign)], _value(left, series), _value(right, series))
        case ast.Compare(left, [sign], [right]) if type(sign) in _COMPARISONS:
            return _joined(_COMPARISONS[type(sign)], _value(left, series), _value(right, series))
        case ast.BoolOp(sign, values):
            holds = all if isinstance(sign, ast.And) else any
            first, *rest = (_value(each, series) for each in values)
            for each in rest:
                first = _joined(lambda one, other: holds((one, other)), first, each)
            return first
        case ast.Call(ast.Name("FILL"), [what, filler]):
            return _filled(_value(what, series), _value(filler, series))
        case ast.Call(ast.Name("IF"), [condition, yes, no]):
            return _chosen(*(_value(each, series) for each in (condition, yes, no)))
    raise NotInTheSubset(ast.unparse(node))


def _joined(function: Callable[[float, float], float], left: Operand, right: Operand) -> Operand:
    """Apply a function at each period: where only one series has a value, the other counts as 0.

    "Missing values in a time series are treated as 0. If the value of a data point causes a function to attempt to
    divide by zero, the data point is dropped." The same is said of comparisons: "the function treats the missing
    value in the other time series as 0". A number is no series: it makes no value where the series has none.
    """
    if isinstance(left, float) and isinstance(right, float):
        return float(function(left, right))
    pairs = zip(_as_series(left, right), _as_series(right, left), strict=True)
    return [
        None if _nothing(left, one) and _nothing(right, other) else _at(function, one or 0.0, other or 0.0)
        for one, other in pairs
    ]


def _nothing(operand: Operand, value: float | None) -> bool:
    return isinstance(operand, float) or value is None


def _at(function: Callable[[float, float], float], one: float, other: float) -> float | None:
    try:
        return float(function(one, other))
    except ZeroDivisionError:
        return None


def _as_series(operand: Operand, like: Operand) -> Series:
    if not isinstance(operand, float):
        return operand
    assert not isinstance(like, float)
    return [operand] * len(like)


def _filled(what: Operand, filler: Operand) -> Series:
    if isinstance(what, float) or not isinstance(filler, float):
        raise NotInTheSubset("FILL takes a series and a number here")
    return [filler if value is None else value for value in what]


def _chosen(condition: Operand, yes: Operand, no: Operand) -> Series:
    """Apply IF at each period.

    "has the value of 0, if the corresponding data point of metric1 is TRUE and the corresponding data point does not
    exist in metric2"; "is dropped, if [it] is FALSE and the corresponding data point does not exist in metric3", and
    where the condition has none.
    """
    if isinstance(condition, float):
        raise NotInTheSubset("IF takes a series as its condition here")
    return [
        None if holds is None else (true or 0.0) if holds else false
        for holds, true, false in zip(condition, _as_series(yes, condition), _as_series(no, condition), strict=True)
    ]
