"""The policies of a deployment, and what a policy simulator says of requests."""

import json
import re
import shutil
import subprocess

import processes
from calls import ACCOUNT

FOLDER = processes.ROOT / "tests/aws"

# The calls that the Lambda service makes with a function's role: no function makes these calls, and no proxy sees them.
PLATFORM = {
    ("WorkerRole", "sqs:ReceiveMessage"): "the event source mapping polls the queue with the role",
    ("WorkerRole", "sqs:DeleteMessage"): "the event source mapping deletes what succeeded",
    ("WorkerRole", "sqs:GetQueueAttributes"): "Lambda checks the queue with it when the mapping is created",
    ("WorkerRole", "logs:CreateLogStream"): "Lambda writes what the function prints",
    ("WorkerRole", "logs:PutLogEvents"): "Lambda writes what the function prints",
    ("InvalidatorRole", "logs:CreateLogStream"): "Lambda writes what the function prints",
    ("InvalidatorRole", "logs:PutLogEvents"): "Lambda writes what the function prints",
    ("ApiRole", "logs:CreateLogStream"): "Lambda writes what the function prints",
    ("ApiRole", "logs:PutLogEvents"): "Lambda writes what the function prints",
}

ROLES = ("WorkerRole", "ApiRole", "InvalidatorRole")

# A request as AWS sees it when nothing is wrong with it.
GOOD = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "aws:ResourceAccount": ACCOUNT}


class Policies:
    """The grants of a stack: its roles' policies, and those of its buckets and queues by ARN."""

    def __init__(self, tintype):
        iam, s3, sqs = tintype.client("iam"), tintype.client("s3"), tintype.client("sqs")
        self.roles = {}
        for role in ROLES:
            name = tintype.outputs[role + "Arn"].rsplit("/", 1)[1]
            assert not iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"], "only what the template says"
            self.roles[role] = [
                {
                    "name": policy,
                    "policy": iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"],
                }
                for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
            ]
        self.principals = {
            role: f"arn:aws:sts::{ACCOUNT}:assumed-role/{tintype.outputs[role + 'Arn'].rsplit('/', 1)[1]}/function"
            for role in self.roles
        }
        self.resources = {}
        for bucket in (tintype.raw, tintype.processed):
            self.resources[f"arn:aws:s3:::{bucket}"] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        for queue in ("Queue", "DeadLetterQueue", "InvalidationQueue", "InvalidationDeadLetterQueue"):
            answer = sqs.get_queue_attributes(QueueUrl=tintype.outputs[f"{queue}Url"], AttributeNames=["Policy"])
            self.resources[tintype.outputs[f"{queue}Arn"]] = json.loads(answer["Attributes"]["Policy"])

    def grants(self, role):
        """Every (action, resource pattern) that the role's policies allow."""
        for entry in self.roles[role]:
            for statement in entry["policy"]["Statement"]:
                if statement["Effect"] == "Allow":
                    for action in as_list(statement["Action"]):
                        for resource in as_list(statement["Resource"]):
                            yield action, resource

    def question(self, role, permission):
        """The request that a role's call is, with every policy that has a say in it."""
        return {
            "principal": self.principals[role],
            "action": permission.action,
            "resource": permission.resource,
            "account": ACCOUNT,
            "context": {**GOOD, **dict(permission.context)},
            "identityPolicies": self.roles[role],
            "resourcePolicy": self.resource_policy(permission.resource),
        }

    def resource_policy(self, arn):
        return self.resources.get(arn.split("/")[0] if arn.startswith("arn:aws:s3:::") else arn)


def as_list(value):
    return value if isinstance(value, list) else [value]


def covers(pattern, arn):
    """Tells whether a resource pattern of a policy matches this ARN."""
    wanted = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(wanted, arn, re.DOTALL) is not None


def simulate(questions):
    """Allowed, ImplicitlyDenied or ExplicitlyDenied for each question."""
    node = shutil.which("node")
    assert node, "node is missing: `scripts/setup aws` installs it"
    done = subprocess.run(
        [node, str(FOLDER / "simulate.mjs")],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=processes.HANG,
        cwd=FOLDER,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
