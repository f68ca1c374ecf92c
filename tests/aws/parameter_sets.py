"""The combinations of parameters that the template is checked with."""

EVERYTHING = {
    "DomainName": "images.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000",
    "OriginShieldRegion": "eu-central-1",
    "WebAclArn": "arn:aws:wafv2:us-east-1:111122223333:global/webacl/images/0a1b2c3d-0000-4000-8000-000000000000",
    "AccessLogBucket": "example-logs.s3.amazonaws.com",
    "Tracing": "Active",
    "JwtIssuer": "https://login.example.com/",
    "JwtAudience": "one,two",
    "AllowedOrigins": "https://app.example.com,https://admin.example.com",
    "EnableKms": "true",
    "EnablePitr": "true",
    "EnableDeletionProtection": "true",
    "AlarmEmail": "me@example.com",
    "MonthlyBudget": "5",
    "EnableTrail": "true",
    "EnableDataEvents": "true",
}
SETS = {"default": {}, "everything": EVERYTHING}
