"""Puts the functions' code and the processor into the template, and leaves every other character as it is."""

import re


class NotFound(Exception):
    """The template does not say what was to be replaced."""


def inline_functions(template, functions):
    """Replaces each `FunctionCode: functions/NAME` with the code of NAME, as a YAML block."""
    used = set()

    def block(match):
        indent, name = match["indent"], match["name"]
        if name not in functions:
            raise NotFound(f"the template names functions/{name}, which was not rendered")
        used.add(name)
        lines = [f"{indent}  {line}" if line else "" for line in functions[name].splitlines()]
        return "\n".join([f"{indent}FunctionCode: |", *lines])

    inlined = re.sub(r"^(?P<indent> *)FunctionCode: functions/(?P<name>\S+)$", block, template, flags=re.MULTILINE)
    unused = set(functions) - used
    if unused:
        raise NotFound(f"the template does not use {', '.join(sorted(unused))}")
    return inlined


def set_architecture(template, arch):
    """Names the processor of every Lambda function."""
    changed, count = re.subn(r"^( *)Architectures: \[\w+\]$", rf"\1Architectures: [{arch}]", template, flags=re.MULTILINE)
    if count == 0:
        raise NotFound("the template names no Architectures: [...]")
    return changed
