"""Who may sign in: the stack's own users, or another provider's."""

from tests.infra.synthesis import Stack

PAGE = "https://<Web/Distribution.DomainName>/"


def test_an_administrator_makes_the_accounts(own: Stack) -> None:
    """Nobody signs up by themselves unless the context says so, and passwords are long."""
    users = own.properties("Identity/Users")
    assert users["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    rules = users["Policies"]["PasswordPolicy"]
    assert rules["MinimumLength"] == 12
    assert all(rules[f"Require{what}"] for what in ("Lowercase", "Uppercase", "Numbers", "Symbols"))


def test_the_page_signs_in_by_code_and_has_no_secret(own: Stack) -> None:
    """The client is the page's: by code, back to where the page is only, without a secret that a page would show."""
    client = own.properties("Identity/Page")
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["AllowedOAuthScopes"] == ["openid"]
    assert client["CallbackURLs"] == client["LogoutURLs"] == [PAGE, "https://chat.example.org/"]
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_a_script_signs_in_with_a_password_only_where_tests_run(own: Stack, host: Stack) -> None:
    """`test_logins` is what adds the password flow."""
    assert "ALLOW_USER_PASSWORD_AUTH" not in own.properties("Identity/Page").get("ExplicitAuthFlows", [])
    assert "ALLOW_USER_PASSWORD_AUTH" in host.properties("Identity/Page")["ExplicitAuthFlows"]


def test_the_sign_in_page_has_a_name_of_the_account(own: Stack) -> None:
    """A domain's first label is unique in its region; the account's number makes it so."""
    domain = own.properties("Identity/Domain")
    assert (domain["Domain"], domain["ManagedLoginVersion"]) == ("playbyplay-<AWS::AccountId>", 1)


def test_accounts_outlive_the_stack_unless_told(own: Stack, host: Stack) -> None:
    """Deleting the stack keeps its users, and `keep_data=0` deletes them."""
    assert own.resources["Identity/Users"]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert host.resources["Identity/Users"]["DeletionPolicy"] == "Delete"


def test_another_provider_stands_in_place_of_the_pool(foreign: Stack) -> None:
    """With an issuer there is no user pool, and no output names one."""
    for kind in ("UserPool", "UserPoolClient", "UserPoolDomain"):
        assert foreign.of(f"AWS::Cognito::{kind}") == {}
    assert "UserPoolId" not in foreign.outputs
