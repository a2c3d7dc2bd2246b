"""The page on CloudFront: a private bucket behind it, `/ticket` on the same origin, a strict CSP.

The CSP names the socket by its API alone, and the origin of tickets by its API alone. The functions, which
must know the page's address, hang on the distribution; were a stage or a route named here, that would be a ring.
"""

from typing import Any

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk.aws_cloudfront import (
    AllowedMethods,
    BehaviorOptions,
    CachePolicy,
    Distribution,
    HeadersFrameOption,
    HeadersReferrerPolicy,
    HttpVersion,
    OriginRequestPolicy,
    PriceClass,
    ResponseCustomHeader,
    ResponseCustomHeadersBehavior,
    ResponseHeadersContentSecurityPolicy,
    ResponseHeadersContentTypeOptions,
    ResponseHeadersFrameOptions,
    ResponseHeadersPolicy,
    ResponseHeadersReferrerPolicy,
    ResponseHeadersStrictTransportSecurity,
    ResponseSecurityHeadersBehavior,
    S3OriginAccessControl,
    ViewerProtocolPolicy,
)
from aws_cdk.aws_cloudfront_origins import HttpOrigin, S3BucketOrigin
from aws_cdk.aws_logs import LogGroup, RetentionDays
from aws_cdk.aws_s3 import BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership
from aws_cdk.aws_s3_deployment import BucketDeployment, CacheControl, Source
from constructs import Construct

from infra import assets

_NAME = "playbyplay"
_HSTS_DAYS = 365


def policy(connect_to: list[str]) -> str:
    """Return the Content-Security-Policy: the page's own files, and these addresses besides."""
    addresses = " ".join(["'self'", *connect_to])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src {addresses}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Web(Construct):
    """The distribution.

    Args:
        socket_host: of the WebSocket API.
        ticket_host: of the HTTP API.
        token_origin: where the page exchanges its code for a token, "" for nowhere.
    """

    def __init__(self, scope: Construct, name: str, *, socket_host: str, ticket_host: str, token_origin: str) -> None:
        super().__init__(scope, name)
        self.files = Bucket(
            self,
            "Files",
            block_public_access=BlockPublicAccess.BLOCK_ALL,
            encryption=BucketEncryption.S3_MANAGED,
            object_ownership=ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,  # every file comes from the repository
            auto_delete_objects=True,  # or a bucket with files in it would not let the stack go
        )
        others = [f"wss://{socket_host}", *([token_origin] if token_origin else [])]
        headers = _headers(self, policy(others))
        # CloudFront's names are the account's, in all regions, and the CDK's own do not tell these apart.
        access = S3OriginAccessControl(self, "Access", origin_access_control_name=f"{_NAME}-{Aws.REGION}")
        self.distribution = Distribution(
            self,
            "Distribution",
            default_root_object="index.html",
            http_version=HttpVersion.HTTP2_AND_3,
            price_class=PriceClass.PRICE_CLASS_100,
            default_behavior=BehaviorOptions(
                origin=S3BucketOrigin.with_origin_access_control(self.files, origin_access_control=access),
                viewer_protocol_policy=ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                cache_policy=CachePolicy.CACHING_OPTIMIZED,
                response_headers_policy=headers,
            ),
            additional_behaviors={
                "/ticket": BehaviorOptions(
                    origin=HttpOrigin(ticket_host),
                    viewer_protocol_policy=ViewerProtocolPolicy.HTTPS_ONLY,
                    allowed_methods=AllowedMethods.ALLOW_ALL,  # CloudFront has no smaller set with POST in it
                    cache_policy=CachePolicy.CACHING_DISABLED,
                    origin_request_policy=OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                )
            },
        )
        self.origin = f"https://{self.distribution.distribution_domain_name}"

    def publish(self, config: dict[str, Any]) -> None:
        """Put the page and its configuration into the bucket."""
        BucketDeployment(
            self,
            "Publish",
            destination_bucket=self.files,
            sources=[Source.asset(str(assets.page())), Source.json_data("config.json", config)],
            # CloudFront asks the bucket again each time, so a new page is there at once and nothing is invalidated.
            cache_control=[CacheControl.no_cache()],
            memory_limit=256,
            log_group=LogGroup(
                self, "PublishLog", retention=RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
            ),
        )


def _headers(scope: Construct, content_security: str) -> ResponseHeadersPolicy:
    return ResponseHeadersPolicy(
        scope,
        "Headers",
        response_headers_policy_name=f"{_NAME}-{Aws.REGION}",
        security_headers_behavior=ResponseSecurityHeadersBehavior(
            content_security_policy=ResponseHeadersContentSecurityPolicy(
                content_security_policy=content_security, override=True
            ),
            content_type_options=ResponseHeadersContentTypeOptions(override=True),
            frame_options=ResponseHeadersFrameOptions(frame_option=HeadersFrameOption.DENY, override=True),
            referrer_policy=ResponseHeadersReferrerPolicy(
                referrer_policy=HeadersReferrerPolicy.NO_REFERRER, override=True
            ),
            strict_transport_security=ResponseHeadersStrictTransportSecurity(
                access_control_max_age=Duration.days(_HSTS_DAYS), include_subdomains=True, override=True
            ),
        ),
        custom_headers_behavior=ResponseCustomHeadersBehavior(
            custom_headers=[
                ResponseCustomHeader(header="Cross-Origin-Opener-Policy", value="same-origin", override=True)
            ]
        ),
    )
