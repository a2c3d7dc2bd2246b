"""Who may sign in: a user pool of our own with its sign-in page, or an OIDC provider that the context names."""

from dataclasses import dataclass

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk.aws_cognito import (
    AccountRecovery,
    AuthFlow,
    AutoVerifiedAttrs,
    CfnUserPoolDomain,
    OAuthFlows,
    OAuthScope,
    OAuthSettings,
    PasswordPolicy,
    SignInAliases,
    UserPool,
    UserPoolClient,
)
from constructs import Construct

from infra.context import Context

_PASSWORD_LENGTH = 12
_CLASSIC = 1  # the sign-in page that works without a branding of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OIDC provider as the gateway and the page see it.

    Attributes:
        issuer: whose tokens the gateway takes.
        audience: for whom they are; the page's client id.
        authorize_url: where the page sends a user; "" when the page cannot sign in by itself.
        token_url: where it exchanges the code.
        logout_url: where it signs out, "" for nowhere.
        scope: what the page asks for; `openid` tells it who its user is.
    """

    issuer: str
    audience: str
    authorize_url: str
    token_url: str
    logout_url: str
    scope: str = "openid"

    def sign_in(self) -> dict[str, str] | None:
        """Return what the page is told of it."""
        if not self.authorize_url:
            return None
        told = {
            "authorize_url": self.authorize_url,
            "token_url": self.token_url,
            "client_id": self.audience,
            "scope": self.scope,
        }
        return {**told, "logout_url": self.logout_url} if self.logout_url else told


def foreign(context: Context) -> Provider:
    """Return the provider that the context names."""
    return Provider(
        issuer=context.issuer,
        audience=context.audience,
        authorize_url=context.authorize_url,
        token_url=context.token_url,
        logout_url=context.logout_url,
        scope=context.scope,
    )


class Identity(Construct):
    """A user pool: an administrator makes the accounts unless the context lets anybody sign up.

    Args:
        prefix: first label of the sign-in page's domain, made from the account's number unless told.
    """

    def __init__(self, scope: Construct, name: str, *, prefix: str, self_sign_up: bool, keep: bool) -> None:
        super().__init__(scope, name)
        self.pool = UserPool(
            self,
            "Users",
            self_sign_up_enabled=self_sign_up,
            sign_in_aliases=SignInAliases(email=True),
            auto_verify=AutoVerifiedAttrs(email=True),
            account_recovery=AccountRecovery.EMAIL_ONLY,
            password_policy=PasswordPolicy(
                min_length=_PASSWORD_LENGTH,
                require_digits=True,
                require_lowercase=True,
                require_uppercase=True,
                require_symbols=True,
                temp_password_validity=Duration.days(3),
            ),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY,
        )
        first = prefix or f"playbyplay-{Aws.ACCOUNT_ID}"
        CfnUserPoolDomain(
            self, "Domain", user_pool_id=self.pool.user_pool_id, domain=first, managed_login_version=_CLASSIC
        )
        self.host = f"{first}.auth.{Aws.REGION}.amazoncognito.com"

    def serve(self, origins: list[str], *, test_logins: bool) -> Provider:
        """Return the pool as the page's provider.

        Args:
            origins: where the page is, for its way back.
            test_logins: whether a script may sign in with a password.
        """
        self.client = UserPoolClient(
            self,
            "Page",
            user_pool=self.pool,
            generate_secret=False,  # a page cannot keep one; PKCE stands in its place
            prevent_user_existence_errors=True,
            auth_flows=AuthFlow(user_password=True) if test_logins else AuthFlow(),
            o_auth=OAuthSettings(
                flows=OAuthFlows(authorization_code_grant=True),
                scopes=[OAuthScope.OPENID],
                callback_urls=[f"{origin}/" for origin in origins],
                logout_urls=[f"{origin}/" for origin in origins],
            ),
            access_token_validity=Duration.hours(1),
            id_token_validity=Duration.hours(1),
            refresh_token_validity=Duration.days(1),
        )
        return Provider(
            issuer=f"https://cognito-idp.{Aws.REGION}.amazonaws.com/{self.pool.user_pool_id}",
            audience=self.client.user_pool_client_id,
            authorize_url=f"https://{self.host}/oauth2/authorize",
            token_url=f"https://{self.host}/oauth2/token",
            logout_url=f"https://{self.host}/logout",
        )
