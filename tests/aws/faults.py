"""Faults of AWS, decided by a seed and not by the order in which threads happen to run."""

import collections
import dataclasses
import hashlib
import json
import threading

from aiohttp import web

from calls import Service

XML = '<?xml version="1.0" encoding="UTF-8"?>\n{}'
ERROR = "<Error><Code>{code}</Code><Message>injected</Message>{more}</Error>"
CLOUDFRONT_ERROR = (
    '<ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error><Type>Sender</Type>'
    "<Code>{code}</Code><Message>injected</Message></Error><RequestId>injected</RequestId></ErrorResponse>"
)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way to fail. `applied`: the call takes effect, and the caller never hears of it."""

    name: str
    service: Service
    status: int = 0
    code: str = ""
    # Further elements of S3's error.
    more: str = ""
    applied: bool = False
    # Only calls of these operations fail like this; none means all of the service.
    operations: tuple = ()
    # Not part of storms: what follows takes minutes.
    only_by_rule: bool = False

    def answer(self, request):
        headers = {"x-amzn-RequestId": "injected", "Connection": "close"}
        match self.service:
            case Service.S3 | Service.CLOUDFRONT:
                error = ERROR if self.service is Service.S3 else CLOUDFRONT_ERROR
                text = "" if request.method == "HEAD" else XML.format(error.format(code=self.code, more=self.more))
                headers["Content-Type"] = "application/xml"
            case Service.DYNAMODB:
                text = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{self.code}", "message": "injected"})
                headers["Content-Type"] = "application/x-amz-json-1.0"
            case Service.SQS:
                text = json.dumps({"__type": f"com.amazonaws.sqs#{self.code}", "message": "injected"})
                headers["Content-Type"] = "application/x-amz-json-1.0"
        return web.Response(status=self.status, text=text, headers=headers)


S3_WRITES = ("PutObject", "DeleteObject")

FAULTS = (
    Fault("s3 500", Service.S3, 500, "InternalError"),
    Fault("s3 503", Service.S3, 503, "SlowDown"),
    Fault("s3 409", Service.S3, 409, "ConditionalRequestConflict", operations=S3_WRITES),
    Fault("s3 lost answer", Service.S3, applied=True),
    Fault("s3 archived", Service.S3, 403, "InvalidObjectState", more="<StorageClass>GLACIER</StorageClass>", only_by_rule=True),
    Fault("dynamodb 500", Service.DYNAMODB, 500, "InternalServerError"),
    Fault("dynamodb throughput", Service.DYNAMODB, 400, "ProvisionedThroughputExceededException"),
    Fault("dynamodb throttle", Service.DYNAMODB, 400, "ThrottlingException"),
    Fault("dynamodb lost answer", Service.DYNAMODB, applied=True),
    Fault("sqs 500", Service.SQS, 500, "InternalFailure"),
    Fault("sqs throttle", Service.SQS, 403, "RequestThrottled"),
    Fault("sqs lost answer", Service.SQS, applied=True),
    Fault("cloudfront 503", Service.CLOUDFRONT, 503, "ServiceUnavailable"),
    Fault("cloudfront throttle", Service.CLOUDFRONT, 400, "Throttling"),
    Fault("cloudfront busy", Service.CLOUDFRONT, 400, "TooManyInvalidationsInProgress", only_by_rule=True),
)


# Calls in a row that fail together; the SDK tries four times.
ROW = 6
# Such rows for each single fault.
ROWS = 0.1


def _share(digest):
    """A number from 0 to 1 that the digest stands for."""
    return int.from_bytes(digest[:4]) / 2**32


class Plan:
    """The choice of calls that fail: none until `rate` or a rule is set.

    The n-th call of an operation on a resource fails or not by a hash of the seed, whoever comes first, so the same
    seed means the same faults as far as the same calls are made.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self.calm()

    def calm(self):
        """Ends all faults."""
        with self._lock:
            self.seed = 0
            self.rate = 0.0
            self._rules = []
            self._seen = collections.Counter()
            self.injected = collections.Counter()

    def storm(self, seed, rate):
        """From now on, each call fails with this probability."""
        with self._lock:
            self.seed = seed
            self.rate = rate

    def add(self, name, when, times):
        """The next `times` calls for which `when(call)` is true fail in the way of this name."""
        fault = next(fault for fault in FAULTS if fault.name == name)
        with self._lock:
            self._rules.append([fault, when, times])

    def _draw(self, *what):
        return hashlib.sha256(repr((self.seed, *what)).encode()).digest()

    def next(self, call):
        """The fault of this call, if it is to fail."""
        with self._lock:
            for rule in self._rules:
                fault, when, times = rule
                if times > 0 and when(call):
                    rule[2] -= 1
                    self.injected[fault.name] += 1
                    return fault
            if self.rate == 0.0:
                return None
            name = (call.service.value, call.operation, call.target)
            self._seen[name] += 1
            number = self._seen[name]
            digest = self._draw(name, number)
            if _share(digest) >= self.rate:
                # Or it is one of a row of failures that outlasts a client's own retries.
                digest = self._draw(name, "row", number // ROW)
                if _share(digest) >= self.rate * ROWS:
                    return None
            possible = [
                fault
                for fault in FAULTS
                if fault.service is call.service
                and not fault.only_by_rule
                and (not fault.operations or call.operation in fault.operations)
            ]
            if not possible:
                return None
            fault = possible[digest[4] % len(possible)]
            self.injected[fault.name] += 1
            return fault
