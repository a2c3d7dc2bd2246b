"""The page: who serves it, what it may reach, what it is told."""

import json
import re
from typing import Any

import pytest

from infra.assets import PAGE
from local.http import SECURITY_HEADERS
from tests.infra.synthesis import Stack, files

SOCKET = "wss://<Socket/Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>"
COGNITO = "https://playbyplay-<AWS::AccountId>.auth.<AWS::Region>.amazoncognito.com"


@pytest.mark.parametrize(("deployment", "tokens"), [("own", COGNITO), ("foreign", "https://id.example.org")])
def test_the_page_has_the_policy_of_one_machine_and_three_addresses(
    request: pytest.FixtureRequest, deployment: str, tokens: str
) -> None:
    """The CSP is the one-machine home's, but for what the page connects to: its own origin, the socket, the tokens."""
    policy = _security(request.getfixturevalue(deployment))["ContentSecurityPolicy"]
    local = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy["ContentSecurityPolicy"] == local.replace(
        "connect-src 'self'", f"connect-src 'self' {SOCKET} {tokens}"
    )
    assert policy["Override"] is True


def test_the_other_headers_are_there_too(own: Stack) -> None:
    """What one machine sends, CloudFront sends, and HSTS besides."""
    security = _security(own)
    assert security["ContentTypeOptions"] == {"Override": True}
    assert security["ReferrerPolicy"]["ReferrerPolicy"] == SECURITY_HEADERS["Referrer-Policy"]
    assert security["FrameOptions"]["FrameOption"] == "DENY"
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 365 * 86_400
    (custom,) = own.properties("Web/Headers")["ResponseHeadersPolicyConfig"]["CustomHeadersConfig"]["Items"]
    name = "Cross-Origin-Opener-Policy"
    assert (custom["Header"], custom["Value"]) == (name, SECURITY_HEADERS[name])


def test_only_the_distribution_reads_the_bucket(own: Stack) -> None:
    """The bucket is private, encrypted, closed to plain HTTP, and open to this distribution alone."""
    bucket = own.properties("Web/Files")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "AES256"
    }
    deny, empties, allow = own.properties("Web/Files/Policy")["PolicyDocument"]["Statement"]
    assert "<Custom::S3AutoDeleteObjectsCustomResourceProvider/Role.Arn>" in str(empties["Principal"])
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert (allow["Effect"], allow["Action"]) == ("Allow", "s3:GetObject")
    assert allow["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert "<Web/Distribution>" in str(allow["Condition"])


def test_the_bucket_is_emptied_when_the_stack_goes(own: Stack) -> None:
    """A bucket with files in it cannot be deleted, and the stack with it."""
    (empties,) = own.of("Custom::S3AutoDeleteObjects").values()
    assert empties["BucketName"] == "<Web/Files>"
    assert own.resources["Web/Files"]["DeletionPolicy"] == "Delete"


def test_what_cloudfront_names_for_the_whole_account_has_its_region_in_it(own: Stack) -> None:
    """Or a second region of the account could not be deployed."""
    headers = own.properties("Web/Headers")["ResponseHeadersPolicyConfig"]["Name"]
    (access,) = own.of("AWS::CloudFront::OriginAccessControl").values()
    assert headers == access["OriginAccessControlConfig"]["Name"] == "playbyplay-<AWS::Region>"


def test_tickets_are_asked_for_on_the_pages_own_origin(own: Stack) -> None:
    """`/ticket` goes to the HTTP API, is never cached, and keeps the caller's headers but for the host."""
    distribution = own.properties("Web/Distribution")["DistributionConfig"]
    (ticket,) = distribution["CacheBehaviors"]
    assert ticket["PathPattern"] == "/ticket"
    assert "POST" in ticket["AllowedMethods"]
    assert ticket["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # CachingDisabled
    assert ticket["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"  # AllViewerExceptHostHeader
    origins = {origin["Id"]: origin["DomainName"] for origin in distribution["Origins"]}
    assert origins[ticket["TargetOriginId"]] == "<Tickets/Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>"
    assert distribution["DefaultRootObject"] == "index.html"
    assert distribution["DefaultCacheBehavior"]["ResponseHeadersPolicyId"] == "<Web/Headers>"


def test_the_page_is_served_with_the_paths_of_one_machine(own: Stack) -> None:
    """`index.html` is at the root, everything else below `assets/`."""
    names = {path.name for path in PAGE.iterdir()}
    assert _published(own) == {"index.html", *(f"assets/{name}" for name in names - {"index.html"})}


def test_the_page_is_told_where_everything_is(own: Stack, foreign: Stack) -> None:
    """config.json names the socket, the tickets, the model and the way to sign in."""
    assert _config(own) == {
        "v": 1,
        "model": "scripted",
        "socket": f"{SOCKET}/v1",
        "ticket": "/ticket",
        "sign_in": {
            "authorize_url": f"{COGNITO}/oauth2/authorize",
            "token_url": f"{COGNITO}/oauth2/token",
            "client_id": "<Identity/Page>",
            "scope": "openid",
            "logout_url": f"{COGNITO}/logout",
        },
    }
    told = _config(foreign)
    assert told["model"] == "large"
    assert told["sign_in"] == {
        "authorize_url": "https://id.example.org/realm/authorize",
        "token_url": "https://id.example.org/realm/token",
        "client_id": "page",
        "scope": "openid offline_access",
    }


def test_a_local_cloud_has_no_page_of_its_own(host: Stack) -> None:
    """The CDK's function that fills the bucket needs Lambda's own file system, so a local cloud leaves it out."""
    assert host.of("Custom::CDKBucketDeployment") == {}


def _security(stack: Stack) -> dict[str, Any]:
    config = stack.properties("Web/Headers")["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    assert isinstance(config, dict)
    return config


def _sources(stack: Stack) -> list[str]:
    (deployment,) = stack.of("Custom::CDKBucketDeployment").values()
    return [str(key).removesuffix(".zip") for key in deployment["SourceObjectKeys"]]


def _published(stack: Stack) -> set[str]:
    page, _config_asset = _sources(stack)
    return files(stack.folder / f"asset.{page}")


def _config(stack: Stack) -> dict[str, Any]:
    """Return config.json as the deployer writes it: its markers replaced by what the template resolves."""
    (deployment,) = stack.of("Custom::CDKBucketDeployment").values()
    text = (stack.folder / f"asset.{_sources(stack)[1]}" / "config.json").read_text()
    markers = deployment["SourceMarkers"][1]
    config = json.loads(re.sub(r"<<marker:[^>]*>>", lambda found: str(markers[found[0]]), text))
    assert isinstance(config, dict)
    return config
