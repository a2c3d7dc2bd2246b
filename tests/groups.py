"""Which tests stay together when `make test` plays them in several processes, and which begin first.

Tests that go by the clock never run beside each other. What is costly to set up is set up once. The rest needs
nothing but the processor, and gives way. The longest chains begin first, so that none is waited for at the end.
"""

TIMED, CLOUD, CAMPAIGN = "timed", "cloud", "campaign"
# In the order in which they begin. A group is played folder by folder, by one process.
FOLDERS = {
    "e2e": TIMED,
    "chaos": TIMED,
    "mission_critical": TIMED,
    "clients": TIMED,
    "cloud": CLOUD,
    "simulation": CAMPAIGN,  # before the units: what it begins goes on beside them and is asked for after them
    "unit": CAMPAIGN,
    "contract": "contract",
    "infra": "infra",
    "integration": "integration",
    "replay": "replay",
}
_RANKS = {folder: rank for rank, folder in enumerate(FOLDERS)}


def group_of(nodeid: str) -> str:
    """Return the group of a test; a folder that stands in no group is one."""
    folder = _folder(nodeid)
    return FOLDERS.get(folder, folder)


def rank_of(nodeid: str) -> int:
    """Return by what tests are sorted: the lowest begin first."""
    return _RANKS.get(_folder(nodeid), len(_RANKS))


def gives_way(nodeid: str) -> bool:
    """Whether a test may wait for the processor while one that goes by the clock wants it."""
    return group_of(nodeid) not in {TIMED, CLOUD}


def _folder(nodeid: str) -> str:
    return nodeid.split("/", 2)[1]
