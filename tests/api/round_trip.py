"""Sends an order with the generated client, and reads its plan."""

import datetime
import sys
import time

from tradewind_client import AuthenticatedClient
from tradewind_client.api.orders import get_order, submit_order
from tradewind_client.models import AcceptedOrder, Line, Order, OrderState, OrderStatus, Problem

address, key = sys.argv[1:]
client = AuthenticatedClient(base_url=address, token=key, raise_on_unexpected_status=True)
order = Order(
    id="web-17",
    region="SEA",
    lines=[Line(sku="1082185", quantity=2)],
    promised=datetime.date(2017, 12, 9),
)

accepted = submit_order.sync(client=client, body=order, idempotency_key="cart-17")
assert isinstance(accepted, AcceptedOrder) and accepted.id == order.id, accepted

deadline = time.monotonic() + 60
while True:
    status = get_order.sync(order.id, client=client)
    assert isinstance(status, OrderStatus), status
    if status.state != OrderState.QUEUED:
        break
    assert time.monotonic() < deadline, status
    time.sleep(0.1)
assert status.state == OrderState.ALLOCATED, status
assert status.order and status.order.lines[0].quantity == 2, status.order
assert status.cost and status.cost.shipping > 0, status.cost
assert status.shipments[0].dispatch and status.shipments[0].late is not None, status.shipments

unknown = get_order.sync("nothing", client=client)
assert isinstance(unknown, Problem) and unknown.type_ == "/problems#not-found", unknown
