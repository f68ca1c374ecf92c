"""deploy/template.yaml: delivery, the API, alarms and the trail."""

import json
import re

import pytest

from cloudformation import TEMPLATE as TEMPLATE_PATH, evaluate, references
from parameter_sets import EVERYTHING, SETS
from template_reading import (
    ACCOUNT, ALL, DEFAULT, PREFIX, REGION, TEMPLATE, described, of_type, policy, statements,
)


@pytest.fixture(params=SETS)
def resources(request):
    return described(**SETS[request.param])


TEMPLATE_ROOT = TEMPLATE_PATH.parents[1]


def distribution(resources):
    return resources["Distribution"]["Properties"]["DistributionConfig"]


def behaviours(resources):
    config = distribution(resources)
    return {"*": config["DefaultCacheBehavior"]} | {each["PathPattern"]: each for each in config["CacheBehaviors"]}


# ---------------------------------------------------------------- delivery


def test_renditions_are_read_through_origin_access_control(resources):
    control = resources["OriginAccessControl"]["Properties"]["OriginAccessControlConfig"]
    assert (control["OriginAccessControlOriginType"], control["SigningBehavior"], control["SigningProtocol"]) == (
        "s3", "always", "sigv4")
    origin, = distribution(resources)["Origins"]
    assert origin["DomainName"] == {"Fn::GetAtt": ["ProcessedBucket", "RegionalDomainName"]}
    assert origin["OriginAccessControlId"] == {"Fn::GetAtt": ["OriginAccessControl", "Id"]}
    assert origin["S3OriginConfig"] == {"OriginAccessIdentity": ""}


def test_viewers_get_https_and_recent_protocols(resources):
    config = distribution(resources)
    assert (config["HttpVersion"], config["Enabled"], config["IPV6Enabled"]) == ("http2and3", True, True)
    assert config["PriceClass"] == "PriceClass_100"
    for behaviour in behaviours(resources).values():
        assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behaviour["AllowedMethods"] == behaviour["CachedMethods"] == ["GET", "HEAD"]
        assert behaviour["Compress"] is False
        assert behaviour["TargetOriginId"] == config["Origins"][0]["Id"]
        assert behaviour["ResponseHeadersPolicyId"] == {"Ref": "ResponseHeadersPolicy"}
        assert "ForwardedValues" not in behaviour and "OriginRequestPolicyId" not in behaviour


def test_a_custom_domain_brings_its_certificate_and_tls_1_2():
    config = distribution(ALL)
    assert config["Aliases"] == ["images.example.com"]
    assert config["ViewerCertificate"] == {
        "AcmCertificateArn": EVERYTHING["CertificateArn"], "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only"}
    config = distribution(DEFAULT)
    assert "Aliases" not in config
    # CloudFront ignores a minimum beside its own certificate, so none is pretended, and the parameter says so.
    assert config["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    assert "TLS 1.0" in TEMPLATE["Parameters"]["DomainName"]["Description"]


def test_shield_web_acl_and_logs_are_switches():
    config = distribution(ALL)
    assert config["Origins"][0]["OriginShield"] == {"Enabled": True, "OriginShieldRegion": "eu-central-1"}
    assert config["WebACLId"] == EVERYTHING["WebAclArn"]
    assert config["Logging"] == {"Bucket": "example-logs.s3.amazonaws.com", "IncludeCookies": False, "Prefix": f"{PREFIX}/"}
    config = distribution(DEFAULT)
    assert not {"WebACLId", "Logging"} & set(config) and "OriginShield" not in config["Origins"][0]


def test_images_and_versions_have_their_own_cache_policies(resources):
    found = behaviours(resources)
    assert set(found) == {"*", "/img/*", "/v/*"}
    assert {path: each["CachePolicyId"]["Ref"] for path, each in found.items()} == {
        "*": "ImageCachePolicy", "/img/*": "ImageCachePolicy", "/v/*": "VersionedCachePolicy"}
    headers = {}
    for name in ("ImageCachePolicy", "VersionedCachePolicy"):
        config = resources[name]["Properties"]["CachePolicyConfig"]
        assert (config["MinTTL"], config["DefaultTTL"], config["MaxTTL"]) == (0, 24 * 3600, 365 * 24 * 3600)
        key = config["ParametersInCacheKeyAndForwardedToOrigin"]
        assert key["CookiesConfig"] == {"CookieBehavior": "none"}
        assert key["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
        assert key["EnableAcceptEncodingGzip"] is key["EnableAcceptEncodingBrotli"] is False
        headers[name] = key["HeadersConfig"]
    # Behaviours share entries whose keys are equal: only /v/ has the version in its key.
    assert headers == {
        "ImageCachePolicy": {"HeaderBehavior": "none"},
        "VersionedCachePolicy": {"HeaderBehavior": "whitelist", "Headers": ["x-tintype-version"]}}


def test_every_request_passes_the_function_and_only_versions_are_marked_immutable(resources):
    def association(event, name):
        return {"EventType": event, "FunctionARN": {"Fn::GetAtt": [name, "FunctionARN"]}}

    request = association("viewer-request", "ViewerRequestFunction")
    assert {path: each["FunctionAssociations"] for path, each in behaviours(resources).items()} == {
        "*": [request],
        "/img/*": [request, association("viewer-response", "ImageResponseFunction")],
        "/v/*": [request, association("viewer-response", "VersionedResponseFunction")]}
    for properties in of_type(resources, "AWS::CloudFront::Function").values():
        assert properties["AutoPublish"] is True
        assert properties["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"
        assert re.fullmatch(r"functions/[a-z-]+\.js", properties["FunctionCode"])


def test_answers_carry_vary_and_the_security_headers_but_never_cache_control(resources):
    config = resources["ResponseHeadersPolicy"]["Properties"]["ResponseHeadersPolicyConfig"]
    assert config["CustomHeadersConfig"] == {"Items": [
        {"Header": "Vary", "Value": "Accept", "Override": True},
        {"Header": "Cross-Origin-Resource-Policy", "Value": "cross-origin", "Override": True}]}
    assert config["SecurityHeadersConfig"] == {
        "ContentSecurityPolicy": {"ContentSecurityPolicy": "default-src 'none'; sandbox", "Override": True},
        "ContentTypeOptions": {"Override": True}, "FrameOptions": {"FrameOption": "DENY", "Override": True},
        "ReferrerPolicy": {"ReferrerPolicy": "no-referrer", "Override": True},
        "StrictTransportSecurity": {"AccessControlMaxAgeSec": 31536000, "IncludeSubdomains": False, "Preload": False,
                                    "Override": True}}
    cors = config["CorsConfig"]
    assert cors["AccessControlAllowOrigins"] == {"Items": ["*"]} and cors["AccessControlAllowCredentials"] is False
    assert "cache-control" not in json.dumps(config["CustomHeadersConfig"]).lower()


def test_the_security_headers_are_those_of_the_edge():
    """CloudFront sets the same headers on deliveries as crates/edge."""
    source = (TEMPLATE_ROOT / "crates" / "edge" / "src" / "router.rs").read_text()
    delivery = source[source.index("Class::Delivery => {\n            set("):]
    delivery = delivery[:delivery.index("}\n")]
    assert "\"default-src 'none'; sandbox\"" in delivery
    assert 'set(RESOURCE_POLICY, "cross-origin")' in delivery and 'set(ACCESS_CONTROL_ALLOW_ORIGIN, "*")' in delivery
    assert 'set(X_CONTENT_TYPE_OPTIONS, "nosniff")' in source


def test_errors_are_cached_for_moments(resources):
    assert distribution(resources)["CustomErrorResponses"] == [
        {"ErrorCode": 403, "ErrorCachingMinTTL": 5}, {"ErrorCode": 404, "ErrorCachingMinTTL": 5}]


# ---------------------------------------------------------------- the API

ROUTES = {
    "POST /api/v1/uploads", "GET /api/v1/images", "GET /api/v1/image", "DELETE /api/v1/image",
    "POST /api/v1/image/reprocess", "GET /api/v1/dead", "POST /api/v1/dead/redrive", "GET /api/v1/stats",
    "GET /api/v1/openapi.json",
}

# A stream of events on Lambda is another issue's.
LOCAL_ROUTES = {"/api/v1/events"}


def test_the_routes_are_those_of_the_router():
    source = (TEMPLATE_ROOT / "crates" / "edge" / "src" / "api" / "mod.rs").read_text()
    routes = source[source.index("pub(crate) fn routes()"):]
    routes = routes[:routes.index("\n}\n")]
    found = {
        f"{method.upper()} {path}"
        for path, methods in re.findall(r'"(/api/[^"]+)",(?:\s*needs: [^\n]+\s*handlers:)? ([^\n]+)', routes)
        for method in re.findall(r"(?:^|\.)(get|post|delete|put|patch)\(", methods)
        if path not in LOCAL_ROUTES
    }
    assert found == ROUTES


@pytest.mark.parametrize("given, kind, authorizer", [
    ({}, "AWS_IAM", None),
    ({"JwtIssuer": "https://login.example.com/", "JwtAudience": "one,two"}, "JWT", {"Ref": "ApiAuthorizer"}),
])
def test_every_route_has_an_authorizer(given, kind, authorizer):
    resources = described(**given)
    routes = of_type(resources, "AWS::ApiGatewayV2::Route").values()
    assert {route["RouteKey"] for route in routes} == ROUTES
    for route in routes:
        assert route["AuthorizationType"] == kind and route.get("AuthorizerId") == authorizer
        assert route["Target"] == {"Fn::Sub": "integrations/${ApiIntegration}"}
        assert route["ApiId"] == {"Ref": "HttpApi"}
    if authorizer:
        assert resources["ApiAuthorizer"]["Properties"]["JwtConfiguration"] == {
            "Issuer": "https://login.example.com/", "Audience": ["one", "two"]}


def test_only_this_api_calls_the_function():
    permission = DEFAULT["ApiPermission"]["Properties"]
    assert permission == {
        "FunctionName": {"Ref": "ApiFunction"}, "Action": "lambda:InvokeFunction", "SourceAccount": ACCOUNT,
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": {"Fn::Sub": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:${{HttpApi}}/*/*/api/v1/*"}}
    integration = DEFAULT["ApiIntegration"]["Properties"]
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    assert integration["IntegrationUri"] == {"Fn::GetAtt": ["ApiFunction", "Arn"]}


def test_the_api_is_throttled_logged_and_open_to_the_allowed_origins_only():
    stage = DEFAULT["ApiStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": "20", "ThrottlingBurstLimit": "40"}
    assert stage["AutoDeploy"] is True and stage["StageName"] == "$default"
    access = stage["AccessLogSettings"]
    assert access["DestinationArn"] == {"Fn::GetAtt": ["ApiAccessLogGroup", "Arn"]}
    assert "\n" not in access["Format"]
    fields = json.loads(access["Format"])
    assert {"request_id", "route", "status", "milliseconds", "caller", "subject"} <= set(fields)
    assert "CorsConfiguration" not in DEFAULT["HttpApi"]["Properties"]
    cors = ALL["HttpApi"]["Properties"]["CorsConfiguration"]
    assert cors["AllowOrigins"] == ["https://app.example.com", "https://admin.example.com"]
    assert cors["AllowCredentials"] is False and set(cors["AllowMethods"]) == {"GET", "POST", "DELETE"}


def test_without_the_api_nothing_of_it_is_there():
    resources = described(EnableApi="false")
    left = {name for name, item in resources.items() if "Api" in name or item["Type"].startswith("AWS::ApiGateway")}
    assert left == set()
    assert not references(evaluate(TEMPLATE, EnableApi="false")["Outputs"], set(TEMPLATE["Resources"]) - set(resources))


# ---------------------------------------------------------------- watching


def test_alarms_watch_dead_letters_age_errors_throttles_and_the_api(resources):
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    assert len({each["AlarmName"] for each in alarms}) == len(alarms)
    attribute = lambda name, what: json.dumps({"Fn::GetAtt": [name, what]})
    worker = json.dumps({"Ref": "WorkerFunction"})
    age = ("AWS/SQS", "ApproximateAgeOfOldestMessage", attribute("JobQueue", "QueueName"))
    watched = [
        (each["Namespace"], each["MetricName"], json.dumps(each["Dimensions"][0]["Value"]), each["Threshold"])
        for each in alarms
    ]
    assert sorted(watched) == sorted([
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", attribute("DeadLetterQueue", "QueueName"), 0),
        (*age, 900),
        (*age, 7 * 86400),
        ("AWS/Lambda", "Errors", worker, 0),
        ("AWS/Lambda", "Throttles", worker, 0),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", attribute("InvalidationDeadLetterQueue", "QueueName"), 0),
        ("AWS/Lambda", "Errors", json.dumps({"Ref": "InvalidatorFunction"}), 0),
        ("AWS/ApiGateway", "5xx", json.dumps({"Ref": "HttpApi"}), 0),
    ])
    # Ten are free in an account.
    assert len(alarms) <= 10
    for each in alarms:
        assert each["ComparisonOperator"] == "GreaterThanThreshold"
        assert each["TreatMissingData"] == "notBreaching" and len(each["AlarmDescription"]) > 60
        if "AlarmTopic" in resources:
            assert each["AlarmActions"] == each["OKActions"] == [{"Ref": "AlarmTopic"}]
        else:
            assert not {"AlarmActions", "OKActions"} & set(each)


def test_mail_is_sent_only_when_somebody_is_named():
    assert not {"AlarmTopic", "AlarmTopicPolicy", "Budget"} & set(DEFAULT)
    topic = ALL["AlarmTopic"]["Properties"]
    assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": "me@example.com"}]
    assert topic["KmsMasterKeyId"] == {"Ref": "Key"}
    found = policy(ALL, "AlarmTopicPolicy")
    assert found["AlarmsOfThisEnvironment"]["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{PREFIX}-*"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT}}
    budget = ALL["Budget"]["Properties"]
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "5", "Unit": "USD"}
    assert "Budget" not in described(AlarmEmail="me@example.com")


def test_the_trail_is_a_switch_and_its_data_events_another():
    assert not {"Trail", "TrailBucket", "TrailBucketPolicy"} & set(DEFAULT)
    trail = described(EnableTrail="true")["Trail"]
    assert trail["DependsOn"] == "TrailBucketPolicy"
    properties = trail["Properties"]
    assert properties["EnableLogFileValidation"] is True and properties["IsLogging"] is True
    assert [each["Name"] for each in properties["AdvancedEventSelectors"]] == ["Management"]
    management, data = ALL["Trail"]["Properties"]["AdvancedEventSelectors"]
    fields = {each["Field"]: each for each in data["FieldSelectors"]}
    # Writes only: reads would be charged for every delivery that misses the cache.
    assert fields["readOnly"]["Equals"] == ["false"] and fields["eventCategory"]["Equals"] == ["Data"]
    assert fields["resources.type"]["Equals"] == ["AWS::S3::Object"]
    assert fields["resources.ARN"]["StartsWith"] == [
        {"Fn::Sub": "${RawBucket.Arn}/"}, {"Fn::Sub": "${ProcessedBucket.Arn}/"}]
    assert ALL["Trail"]["Properties"]["KMSKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}


def test_only_this_trail_writes_its_bucket():
    found = policy(ALL, "TrailBucketPolicy")
    arn = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{ALL['Trail']['Properties']['TrailName']}"
    assert found["TrailLooks"]["Condition"] == {"StringEquals": {"aws:SourceArn": arn}}
    assert found["TrailLooks"]["Action"] == "s3:GetBucketAcl"
    assert found["TrailWrites"]["Condition"] == {
        "StringEquals": {"aws:SourceArn": arn, "s3:x-amz-acl": "bucket-owner-full-control"}}
    assert found["TrailWrites"]["Resource"] == {"Fn::Sub": f"${{TrailBucket.Arn}}/AWSLogs/{ACCOUNT}/*"}
    key = statements(ALL["Key"]["Properties"]["KeyPolicy"])
    assert key["TrailWrites"]["Condition"]["StringEquals"] == {"aws:SourceArn": arn}


def test_the_places_of_the_dashboard_are_marked():
    text = (TEMPLATE_ROOT / "deploy" / "template.yaml").read_text()
    assert len(re.findall(r"dashboard's", text, re.IGNORECASE)) == 2
