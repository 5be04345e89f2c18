"""The demo's orders: nested types, constraints and references, kept in the worker's own memory."""

import enum
import itertools
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from rpcserver import Context, Example, RpcError, Service

MOST_KEPT = 1000

Sku = Annotated[str, Meta(pattern=r"^[A-Z]{2,4}-[0-9]{1,6}$", description="Article number, as in `TEA-42`.")]


class Shipping(enum.Enum):
    """How parcels travel."""

    STANDARD = "standard"
    EXPRESS = "express"
    PICKUP = "pickup"


class Address(Struct, frozen=True):
    """Where a parcel goes."""

    street: Annotated[str, Meta(min_length=1, max_length=200)]
    city: Annotated[str, Meta(min_length=1, max_length=100)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="Two letters, as in ISO 3166.")] = "NL"
    postcode: str | None = None


class Item(Struct, frozen=True):
    """One line of an order."""

    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=1000)] = 1
    price: Annotated[Decimal, Meta(description="For one piece, in euros.")] = Decimal("9.95")


class Order(Struct, frozen=True):
    """An order as it was placed."""

    id: int
    customer: str
    items: list[Item]
    address: Address
    shipping: Shipping
    total: Decimal
    deliver_on: date | None = None
    gift: bool = False
    tags: list[str] = []


orders = Service("orders", version="1.0")

_SHIPPING_COST = {Shipping.STANDARD: Decimal("4.95"), Shipping.EXPRESS: Decimal("12.50"), Shipping.PICKUP: Decimal(0)}


numbers = itertools.count(1)
kept: OrderedDict[int, Order] = OrderedDict()
"""The orders of one worker; the oldest are forgotten first."""


@orders.method(
    examples=[
        Example(
            {
                "customer": "Ada",
                "items": [{"sku": "TEA-42", "quantity": 2}],
                "address": {"street": "Keizersgracht 1", "city": "Amsterdam"},
                "shipping": "express",
            },
            name="two boxes of tea",
        )
    ]
)
def place(
    customer: Annotated[str, Meta(min_length=1, max_length=100)],
    items: Annotated[list[Item], Meta(min_length=1, max_length=100)],
    address: Address,
    shipping: Shipping = Shipping.STANDARD,
    deliver_on: date | None = None,
    gift: bool = False,
    tags: Annotated[list[str], Meta(max_length=10)] | None = None,
    *,
    context: Context,
) -> Order:
    """Place an order.

    It is kept in the memory of the worker that took it: with several workers, `order.get` may meet another.

    Args:
        customer: who orders.
        items: what is ordered, at least one item.
        address: where it goes.
        shipping: how it travels.
        deliver_on: the day on which it should arrive.
        gift: whether to wrap it.
        tags: anything to find it by.
        context: given by the server.

    Returns:
        the order with its number and its total.
    """
    total = sum((item.price * item.quantity for item in items), _SHIPPING_COST[shipping])
    order = Order(next(numbers), customer, items, address, shipping, total, deliver_on, gift, tags or [])
    kept[order.id] = order
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    context.log.info("order %d placed", order.id)
    return order


@orders.method(idempotent=True)
def get(id: Annotated[int, Meta(ge=1)]) -> Order:
    """Look up an order.

    Args:
        id: its number, from `order.place`.
    """
    if (order := kept.get(id)) is None:
        raise RpcError(f"this worker has no order {id}; place one with order.place", code=404, data={"id": id})
    return order


@orders.method(name="list", idempotent=True)
def list_orders(limit: Annotated[int, Meta(ge=1, le=MOST_KEPT)] = 10) -> list[Order]:
    """The latest orders of the worker that answers, the newest first.

    Args:
        limit: how many at most.
    """
    return list(itertools.islice(reversed(kept.values()), limit))
