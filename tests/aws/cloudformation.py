"""Reads a CloudFormation template and says what it becomes for given parameters.

`load` turns the short forms (`!Ref`, `!GetAtt A.B`) into the long ones. `evaluate` resolves what is known before
anything is created: parameters, pseudo parameters, conditions, and the functions over them. References to resources
stay as they are. It knows the functions that the template uses, and stops at any other.
"""

import re
from pathlib import Path

import yaml

TEMPLATE = Path(__file__).resolve().parents[2] / "deploy" / "template.yaml"

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "tintype-prod",
}
NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")


class _Loader(yaml.SafeLoader):
    """No aliases: CloudFormation documents that it does not support them."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.events.AliasEvent):
            raise ValueError(f"{self.peek_event().start_mark}: CloudFormation has no YAML aliases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{node.start_mark}: {key} is there twice")
        return super().construct_mapping(node, deep)


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    return {name: value}


_Loader.add_multi_constructor("!", _short_form)
# A date stays text, as in CloudFormation: "2012-10-17" is a version of the policy language.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(path=TEMPLATE):
    """The template with long forms only. An alias or a key that is there twice is an error."""
    return loads(Path(path).read_text())


def loads(text):
    return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader


def parameters(template, **given):
    """All parameters with the given ones and the others' defaults. One that the template does not accept, or a
    broken rule, is a `ValueError` with the template's own message."""
    declared = template["Parameters"]
    unknown = set(given) - set(declared)
    if unknown:
        raise ValueError(f"no such parameter: {sorted(unknown)}")
    values = {}
    for name, spec in declared.items():
        value = str(given.get(name, spec.get("Default")))
        _check(name, spec, value)
        values[name] = value.split(",") if spec["Type"] == "CommaDelimitedList" else value
    resolver = _Resolver(template, values)
    for rule in template.get("Rules", {}).values():
        if resolver.truth(rule.get("RuleCondition", True)):
            for assertion in rule["Assertions"]:
                if not resolver.truth(assertion["Assert"]):
                    raise ValueError(assertion["AssertDescription"])
    return values


def _check(name, spec, value):
    refused = ValueError(f"{name}: {spec.get('ConstraintDescription', 'not one of the allowed values')}")
    if "AllowedValues" in spec and value not in [str(allowed) for allowed in spec["AllowedValues"]]:
        raise refused
    if "AllowedPattern" in spec and not re.fullmatch(spec["AllowedPattern"], value):
        raise refused
    if spec["Type"] == "Number":
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            raise refused
        number = float(value)
        if not spec.get("MinValue", number) <= number <= spec.get("MaxValue", number):
            raise refused


def evaluate(template, **given):
    """The resources and outputs of the template whose conditions hold with these parameters."""
    resolver = _Resolver(template, parameters(template, **given))
    return {
        section: {
            name: resolver.value({k: v for k, v in item.items() if k != "Condition"})
            for name, item in template[section].items()
            if resolver.condition(item.get("Condition"))
        }
        for section in ("Resources", "Outputs")
    }


class _Resolver:
    def __init__(self, template, values):
        self.template = template
        self.known = {**PSEUDO, **values}

    def condition(self, name):
        return name is None or self.truth(self.template["Conditions"][name])

    def truth(self, expression):
        value = self.value(expression)
        if not isinstance(value, bool):
            raise ValueError(f"not a condition: {expression}")
        return value

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            if name == "Ref" or name == "Condition" and isinstance(argument, str) or name.startswith("Fn::"):
                return self.function(name, argument)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def function(self, name, argument):
        match name:
            case "Ref":
                if argument == "AWS::NoValue":
                    return NO_VALUE
                return self.known.get(argument, {"Ref": argument})
            case "Condition":
                return self.condition(argument)
            case "Fn::GetAtt":
                return {name: argument}
            case "Fn::If":
                return self.value(argument[1] if self.condition(argument[0]) else argument[2])
            case "Fn::Equals":
                left, right = self.value(argument)
                return left == right
            case "Fn::Not":
                return not self.truth(argument[0])
            case "Fn::And":
                return all([self.truth(one) for one in argument])
            case "Fn::Or":
                return any([self.truth(one) for one in argument])
            case "Fn::Join":
                return argument[0].join(self.value(argument[1]))
            case "Fn::Split":
                return self.value(argument[1]).split(argument[0])
            case "Fn::Sub":
                return self.substitute(argument)
            case _:
                raise ValueError(f"{name} is not known here")

    def substitute(self, text):
        """Text when everything in it is known, else `Fn::Sub` of the rest."""
        rest = _PLACEHOLDER.sub(lambda found: str(self.known.get(found[1], found[0])), text)
        return {"Fn::Sub": rest} if _PLACEHOLDER.search(rest) else rest


def references(node, resources):
    """Logical ids of the resources that a value refers to, `DependsOn` included."""
    if isinstance(node, list):
        return set().union(*(references(item, resources) for item in node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = set()
    for key, value in node.items():
        if key == "Ref":
            found.add(value)
        elif key == "Fn::GetAtt":
            found.add(value[0] if isinstance(value, list) else value.split(".")[0])
        elif key == "Fn::Sub":
            text = value[0] if isinstance(value, list) else value
            found.update(name.split(".")[0] for name in _PLACEHOLDER.findall(text))
        elif key == "DependsOn":
            found.update([value] if isinstance(value, str) else value)
        found |= references(value, resources)
    return found & set(resources)
