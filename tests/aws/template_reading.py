"""Words for tests of deploy/template.yaml, over `cloudformation`."""

from cloudformation import PSEUDO, evaluate, load
from parameter_sets import EVERYTHING

TEMPLATE = load()
ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
PREFIX = "tintype-prod"
DATA = f"{PREFIX}-{REGION}-{ACCOUNT}"
RAW_ARN = f"arn:aws:s3:::{DATA}-raw"
BUCKETS = {"RawBucket": "raw", "ProcessedBucket": "processed", "TrailBucket": "trail"}


def described(**given):
    return evaluate(TEMPLATE, **given)["Resources"]


DEFAULT = described()
ALL = described(**EVERYTHING)


def of_type(resources, kind):
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == kind}


def statements(document):
    return {statement["Sid"]: statement for statement in document["Statement"]}


def policy(resources, name):
    return statements(resources[name]["Properties"]["PolicyDocument"])


def granted(resources, role):
    """The permissions of a role: {(action, resource)}."""
    document, = resources[role]["Properties"]["Policies"]
    found = set()
    for statement in document["PolicyDocument"]["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                found.add((action, plain(resource)))
    return found


def listed(value):
    return value if isinstance(value, list) else [value]


def plain(value):
    """A reference as one would say it: `Name.Attribute`, or the text of a `Fn::Sub`."""
    match value:
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": parts}:
            return ".".join(parts)
        case {"Fn::Sub": text}:
            return text
        case _:
            return value


def all_statements(node):
    if isinstance(node, list):
        for item in node:
            yield from all_statements(item)
    elif isinstance(node, dict):
        if "Effect" in node:
            yield node
        else:
            for value in node.values():
                yield from all_statements(value)
