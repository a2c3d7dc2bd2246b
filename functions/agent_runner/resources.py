"""What the tools may reach on AWS: the demo shop, made in the container's own folder when a tool first asks."""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent_runner import demo_shop

DATABASE = "database"


class DemoResources(Mapping[str, str]):
    """One resource, `database`, made at first need; tools ask from threads of their own.

    Args:
        folder: where it is made; that of temporary files unless told, the only one a function may write to.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or Path(tempfile.gettempdir())) / "demo-shop.sqlite3"
        self._making = threading.Lock()

    def __getitem__(self, name: str) -> str:
        if name != DATABASE:
            raise KeyError(name)
        with self._making:
            demo_shop.ensure(self._path)
        return str(self._path)

    def __iter__(self) -> Iterator[str]:
        return iter((DATABASE,))

    def __len__(self) -> int:
        return 1
