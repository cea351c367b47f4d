"""Wires up who stands in for objects at zero: the watch of the activators, the questions to them, and their ports."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llmfleet.api.settings import ActivatorSettings
from llmfleet.controller.activators import Activators, Asking
from llmfleet.controller.ports import PortBook
from llmfleet.controller.queue import WorkQueue
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.informer import Informer
from llmfleet.kube.resources import SLICES, Key
from llmfleet.manifests.activator_slice import SERVICE_NAME


@dataclass(frozen=True, slots=True)
class StandIns:
    """The activators, as far as the operator has to do with them."""

    board: Activators
    home: Informer
    """Of the slices of their own Service."""
    queue: WorkQueue

    @classmethod
    def named(
        cls, name: str, *, namespace: str, cluster: Cluster, queue: WorkQueue, settings: ActivatorSettings
    ) -> "StandIns":
        """Those whose Service and ConfigMap have that name in that namespace."""
        book = PortBook(cluster, namespace, name, first=settings.first_port, count=settings.ports)
        board = Activators(book, on_change=queue.add)
        home = Informer(
            cluster=cluster,
            resource=SLICES,
            namespace=namespace,
            selector=f"{SERVICE_NAME}={name}",
            shelf=board.homes,
            on_change=lambda _: None,  # they are asked anew every half second in any case
        )
        return cls(board, home, queue)

    def tasks(
        self, *, elected: asyncio.Event, is_leader: Callable[[], bool], objects: Callable[[], Iterable[Key]]
    ) -> list[asyncio.Task[None]]:
        """What runs beside the passes; `objects` are those that there are, once the queue is open."""
        asking = Asking(self.board, self.home.listed, is_leader=is_leader)
        return [
            asyncio.create_task(asking.run(), name="activators"),
            asyncio.create_task(self._keep_ports(elected, objects), name="activators' ports"),
        ]

    async def _keep_ports(self, elected: asyncio.Event, objects: Callable[[], Iterable[Key]]) -> None:
        """Only a leader gives ports out, and not before it knows which are: passes until then are repeated."""
        await elected.wait()
        await self.queue.opened.wait()
        await self.board.book.load()
        self.board.book.retain(objects())
        for key in self.board.early:
            self.queue.add(key)
        await self.board.book.run()
