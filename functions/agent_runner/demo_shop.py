"""A made-up shop in a SQLite file, for the database analysis to find something in.

Indexes that the shop's queries need are left out on purpose, and the table `workload` holds eight
recorded queries: five fast ones, and three that read whole tables. The same seed makes the same shop.
"""

import os
import random
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

SEED = 20_260_101
CUSTOMERS = 12_000
PRODUCTS = 1_500
ORDERS = 70_000
MAX_ITEMS = 5  # of one order; three on average
REGULAR_ORDERS = 15  # of the customer whose history is asked for

_SCHEMA = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, town TEXT NOT NULL, joined_on TEXT NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, category TEXT NOT NULL,
    price_cents INTEGER NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), placed_at TEXT NOT NULL,
    status TEXT NOT NULL
);
CREATE TABLE order_items (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id), quantity INTEGER NOT NULL, unit_price_cents INTEGER NOT NULL
);
CREATE TABLE workload (name TEXT PRIMARY KEY, statement TEXT NOT NULL, calls_per_hour INTEGER NOT NULL);
"""
# (name, statement, calls an hour); the words :customer, :email and :town stand for values of the made data.
_WORKLOAD = (
    # Each of the first three needs an index on a foreign key, and reads whole tables without it.
    (
        "customer_order_history",
        """
        SELECT o.id, o.placed_at, o.status, (
            SELECT sum(i.quantity * i.unit_price_cents) FROM order_items AS i WHERE i.order_id = o.id
        ) AS total_cents
        FROM orders AS o WHERE o.customer_id = :customer ORDER BY o.placed_at DESC LIMIT 50
        """,
        240,
    ),
    (
        "also_bought",
        """
        SELECT other.product_id, count(*) AS times FROM order_items AS item
        JOIN order_items AS other ON other.order_id = item.order_id AND other.product_id <> item.product_id
        WHERE item.product_id = 417 GROUP BY other.product_id ORDER BY times DESC LIMIT 10
        """,
        900,
    ),
    (
        "lapsed_customers_of_town",
        """
        SELECT c.id, c.name, c.email FROM customers AS c WHERE c.town = ':town' AND NOT EXISTS (
            SELECT 1 FROM orders AS o WHERE o.customer_id = c.id AND o.placed_at >= '2025-06-01'
        )
        """,
        6,
    ),
    ("product_by_id", "SELECT * FROM products WHERE id = 417", 5_200),
    ("customer_by_email", "SELECT id, name FROM customers WHERE email = ':email'", 1_100),
    (
        "order_with_customer",
        """
        SELECT o.id, o.status, c.name FROM orders AS o JOIN customers AS c ON c.id = o.customer_id
        WHERE o.id = 61234
        """,
        2_300,
    ),
    (
        "newest_orders",
        """
        SELECT o.id, o.placed_at, c.name FROM orders AS o JOIN customers AS c ON c.id = o.customer_id
        ORDER BY o.id DESC LIMIT 20
        """,
        360,
    ),
    (
        "cheapest_of_category",
        "SELECT id, name, price_cents FROM products WHERE category = 'garden' ORDER BY price_cents LIMIT 20",
        1_700,
    ),
)
_SYLLABLES = ("bar", "del", "fen", "gor", "hal", "kin", "lum", "mar", "nes", "ol", "pra", "ros", "sil", "tam", "ver")
_TOWN_ENDINGS = ("ford", "haven", "mouth", "stead", "ton", "wick")
_ADJECTIVES = ("Plain", "Sturdy", "Folding", "Woven", "Enamel", "Oak", "Linen", "Pocket", "Travel", "Winter")
_THINGS = ("Lamp", "Kettle", "Blanket", "Stool", "Notebook", "Bottle", "Basket", "Clock", "Apron", "Tray")
_CATEGORIES = ("kitchen", "living room", "garden", "office", "travel", "bath", "lighting", "textiles", "games", "gifts")
_STATUSES = ("delivered",) * 16 + ("shipped",) * 2 + ("paid", "returned")
_FIRST_DAY = datetime(2023, 1, 1, tzinfo=UTC)
_DAYS = 1_000


def ensure(path: Path) -> bool:
    """Make the demo shop at `path` unless something is there.

    Returns:
        Whether it was made.
    """
    if path.exists():
        return False
    make(path)
    return True


def make(path: Path) -> None:
    """Make the demo shop at `path`, in place of what is there; a crash leaves no half of one.

    About 290,000 rows and 8 MB. Folders are made as needed.

    Raises:
        OSError: the folder cannot be written.
        sqlite3.Error: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    partial = Path(name)
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            _fill(connection)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _fill(connection: sqlite3.Connection) -> None:
    chance = random.Random(SEED)  # noqa: S311  a demo's data, nothing secret
    towns = [_word(chance) + ending for ending in _TOWN_ENDINGS for _ in range(25)]
    prices = [chance.randrange(300, 20_000, 5) for _ in range(PRODUCTS)]
    # Some customers and products are far more active than others, as in a real shop.
    buyers = [int(CUSTOMERS * chance.random() ** 1.5) + 1 for _ in range(ORDERS)]
    connection.executescript(_SCHEMA)
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?)", _customers(chance, towns))
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?)", _products(chance, prices))
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", _orders(chance, buyers))
    connection.executemany("INSERT INTO order_items VALUES (NULL, ?, ?, ?, ?)", _items(chance, prices))
    counted = Counter(buyers)
    regular = min(counted, key=lambda buyer: (abs(counted[buyer] - REGULAR_ORDERS), buyer))
    (email,) = connection.execute("SELECT email FROM customers WHERE id = ?", (regular,)).fetchone()
    values = {":customer": str(regular), ":email": email, ":town": towns[0]}
    connection.executemany("INSERT INTO workload VALUES (?, ?, ?)", _workload(values))
    connection.execute("COMMIT")


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=2)).capitalize()


def _day(number: float) -> str:
    return (_FIRST_DAY + timedelta(days=number)).strftime("%Y-%m-%d %H:%M")


def _customers(chance: random.Random, towns: list[str]) -> Iterator[tuple[int, str, str, str, str]]:
    for number in range(1, CUSTOMERS + 1):
        given, family = _word(chance), _word(chance)
        email = f"{given}.{family}.{number}@example.com".lower()
        yield number, f"{given} {family}", email, chance.choice(towns), _day(_DAYS * number / CUSTOMERS)[:10]


def _products(chance: random.Random, prices: list[int]) -> Iterator[tuple[int, str, str, str, int]]:
    for number, price in enumerate(prices, 1):
        name = f"{chance.choice(_ADJECTIVES)} {chance.choice(_THINGS)} {number % 40 + 1}"
        yield number, f"P-{number:05}", name, chance.choice(_CATEGORIES), price


def _orders(chance: random.Random, buyers: list[int]) -> Iterator[tuple[int, int, str, str]]:
    for number, buyer in enumerate(buyers, 1):
        yield number, buyer, _day(_DAYS * number / ORDERS), chance.choice(_STATUSES)


def _items(chance: random.Random, prices: list[int]) -> Iterator[tuple[int, int, int, int]]:
    for order in range(1, ORDERS + 1):
        for _ in range(chance.randint(1, MAX_ITEMS)):
            product = int(PRODUCTS * chance.random() ** 1.3)
            yield order, product + 1, chance.randint(1, 3), prices[product]


def _workload(values: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    for name, statement, calls in _WORKLOAD:
        literal = re.sub(r":[a-z]+", lambda word: values[word[0]], statement)
        yield name, " ".join(literal.split()), calls
