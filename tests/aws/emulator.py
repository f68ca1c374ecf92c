"""MiniStack with IAM enforced, behind the recording proxy, and AWS clients with real keys for it."""

import dataclasses
import json
import os
import pathlib
import ssl
import urllib.request

import boto3
import botocore.config
import trustme

import processes
from calls import ACCOUNT, REGION
from proxy import Door, Proxy

# MiniStack does not check the signatures of this key; nothing but the first set-up uses it.
ROOT_KEYS = ("test", "test")


@dataclasses.dataclass(frozen=True)
class Keys:
    """Somebody's access key."""

    access_key: str
    secret_key: str
    session_token: str | None = None


class Emulator:
    """One account in one region, on loopback ports that nobody else uses.

    `url` is for people, `functions_url` for the functions and what they presign, `plain_url` shows MiniStack a client
    without TLS. Over HTTP the proxy says to MiniStack that TLS ended at it; with `tls` it really does.
    """

    region = REGION
    account = ACCOUNT

    def __init__(self, folder, tls=False, ports=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = ports or {}
        port = ports.get("ministack") or processes.free_port()
        functions_port = ports.get("functions") or processes.free_port()
        scheme = "https" if tls else "http"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": os.environ.get("MINISTACK_LOG_LEVEL", "INFO"),
            "AWS_ENDPOINT_URL": f"{scheme}://127.0.0.1:{functions_port}",
        }
        context = self.ca = None
        if tls:
            context, certificates = self._certificates()
            environment |= {"USE_SSL": "1", **certificates}
            self.ca = str(self.folder / "ca.pem")
        upstream = f"{scheme}://127.0.0.1:{port}"
        verify = ssl.create_default_context(cafile=self.ca) if tls else None

        def healthy():
            try:
                with urllib.request.urlopen(f"{upstream}/_ministack/health", timeout=30, context=verify) as answer:
                    return answer.status == 200
            except OSError:
                return False

        self.server = processes.Process(
            [processes.tool("ministack")], environment, self.folder / "ministack.log", healthy
        )
        self.proxy = Proxy(upstream, context, self.ca)
        self.functions_url = self.proxy.open(Door("functions", functions_port, recorded=True))
        self.url = self.proxy.open(Door("people", ports.get("people") or processes.free_port()))
        self.plain_url = self.proxy.open(Door("plain", processes.free_port(), scheme="http"))

    def _certificates(self):
        """A certificate authority of this run's own; the functions trust it through their environment."""
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1", "localhost", "*.execute-api.localhost")
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        leaf.private_key_pem.write_to_path(self.folder / "key.pem")
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        (self.folder / "cert.pem").write_bytes(chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        ca = str(self.folder / "ca.pem")
        return context, {
            "MINISTACK_SSL_CERT": str(self.folder / "cert.pem"),
            "MINISTACK_SSL_KEY": str(self.folder / "key.pem"),
            "SSL_CERT_FILE": ca,
            "AWS_CA_BUNDLE": ca,
            "NODE_EXTRA_CA_CERTS": ca,
        }

    def open_distribution(self, domain, port=None):
        """An address whose requests reach the CloudFront distribution of this domain."""
        return self.proxy.open(Door("distribution", port or processes.free_port(), host=domain))

    def client(self, service, keys, url=None, **config):
        """A boto3 client that does not hide failures behind retries."""
        config.setdefault("retries", {"total_max_attempts": 1})
        config.setdefault("read_timeout", processes.HANG)
        if service == "s3":
            config |= {"signature_version": "s3v4", "s3": {"addressing_style": "path"}}
        return boto3.client(
            service,
            endpoint_url=url or self.url,
            region_name=self.region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.session_token,
            verify=self.ca,
            config=botocore.config.Config(**config),
        )

    def environment(self, keys):
        """The environment of the AWS CLI for this user."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_CONFIG_FILE": str(self.folder / "aws-config"),
            "AWS_PAGER": "",
        }
        if keys.session_token:
            environment["AWS_SESSION_TOKEN"] = keys.session_token
        if self.ca:
            environment["AWS_CA_BUNDLE"] = self.ca
        (self.folder / "aws-config").write_text("[default]\ns3 =\n  addressing_style = path\n")
        return environment

    def new_user(self, name, *statements):
        """An IAM user who may do what the statements say."""
        iam = self.client("iam", Keys(*ROOT_KEYS))
        iam.create_user(UserName=name)
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(key["AccessKeyId"], key["SecretAccessKey"])

    def assume(self, keys, role_arn, session="test"):
        """The keys of a session of this role."""
        answer = self.client("sts", keys).assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]
        return Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])

    def stop(self):
        self.proxy.close()
        self.server.stop()
