"""Who is let in: tokens at /ticket, tickets at the socket."""

from collections.abc import Callable, Iterator

import pytest
import websockets

from infra.local_cloud_stack import Deployment
from tests.cloud.people import Person, ask_for_ticket, eventually, handshake

Newcomer = Callable[[], Person]


async def refused(deployed: Deployment, query: str, origin: str | None) -> int:
    """Return the status of a handshake that must not succeed."""
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with handshake(deployed, query, origin):
            pass
    return refusal.value.response.status_code


async def test_no_ticket_opens_nothing(deployed: Deployment) -> None:
    """Without a ticket the authorizer is not even asked."""
    assert await refused(deployed, "", deployed.origin) == 401
    assert await refused(deployed, "?ticket=", deployed.origin) == 401


async def test_a_ticket_opens_one_connection(deployed: Deployment, newcomer: Newcomer) -> None:
    """The second use of a ticket is refused; the first connection stays."""
    ticket = newcomer().ticket()
    async with handshake(deployed, f"?ticket={ticket}", deployed.origin) as first:
        assert await refused(deployed, f"?ticket={ticket}", deployed.origin) >= 400
        await (await first.ping())


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1", "null", None])
async def test_a_ticket_is_of_no_use_elsewhere(deployed: Deployment, newcomer: Newcomer, origin: str | None) -> None:
    """A good ticket does not come in from another origin, or from none."""
    assert await refused(deployed, f"?ticket={newcomer().ticket()}", origin) == 403


async def test_a_ticket_is_bound_to_its_origin(deployed: Deployment, newcomer: Newcomer) -> None:
    """A ticket that one admitted origin was given is refused from another that is admitted too."""
    page = deployed.outputs["PageUrl"].rstrip("/")
    ticket = newcomer().ticket(page)
    assert await refused(deployed, f"?ticket={ticket}", deployed.origin) >= 400
    async with handshake(deployed, f"?ticket={newcomer().ticket(page)}", page):
        pass


@pytest.mark.parametrize("query", ["?ticket=AAAA", "?ticket={}&ticket={}", "?ticket={}x", "?ticket=x{}"])
async def test_a_made_up_ticket_opens_nothing(deployed: Deployment, newcomer: Newcomer, query: str) -> None:
    """What was never given, or two at once, is refused."""
    ticket = newcomer().ticket()
    assert await refused(deployed, query.format(ticket, ticket[::-1]), deployed.origin) >= 400


def test_ticket_wants_a_token(deployed: Deployment, newcomer: Newcomer) -> None:
    """Without a token, with a broken one, with one that was tampered with: 401."""
    token = newcomer().token
    head, claims, signature = token.split(".")
    for bad in (None, "", "x.y.z", f"{head}.{claims}.", f"{head}.{claims}.{signature[::-1]}"):
        assert ask_for_ticket(deployed, bad, deployed.origin)[0] == 401


def test_ticket_wants_a_token_of_our_issuer(deployed: Deployment) -> None:
    """A good token of another pool of the same cloud is refused, and so is one for another client of our pool."""
    users = deployed.cloud.client("cognito-idp")
    other_pool = users.create_user_pool(PoolName="other")["UserPool"]["Id"]
    for pool in (other_pool, deployed.outputs["UserPoolId"]):
        flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        made = users.create_user_pool_client(UserPoolId=pool, ClientName="other", ExplicitAuthFlows=flows)
        client = made["UserPoolClient"]["ClientId"]
        foreign = Deployment(deployed.cloud, {**deployed.outputs, "UserPoolId": pool, "UserPoolClientId": client})
        assert ask_for_ticket(deployed, foreign.sign_up("foreigner@example.com"), deployed.origin)[0] == 401


def test_ticket_wants_an_admitted_origin(deployed: Deployment, newcomer: Newcomer) -> None:
    """A page that is not ours gets no ticket, whoever is signed in."""
    status, answer = ask_for_ticket(deployed, newcomer().token, "https://evil.example")
    assert status == 403
    assert "ticket" not in answer


def logged(deployed: Deployment) -> Iterator[str]:
    """Return what stands in the logs of the functions that say something; those of the socket's routes are not kept."""
    logs = deployed.cloud.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
            yield event["message"]


async def test_nothing_secret_is_logged(deployed: Deployment, newcomer: Newcomer) -> None:
    """No ticket, no token and no word of a message stands in what the cloud and its functions wrote."""
    person, words = newcomer(), "sesame-open-7f3c"
    ticket = person.ticket()
    async with handshake(deployed, f"?ticket={ticket}", deployed.origin):
        pass
    async with person.device() as device:
        run_id = await device.turn(words)
    eventually(lambda: run_id in deployed.cloud.log.read_text(), "the runner's log has come")
    said = deployed.cloud.log.read_text() + "".join(logged(deployed))
    for secret in (ticket, person.token, person.token.split(".")[2], words):
        assert secret not in said
