"""GPU clusters: from the order to the decommissioning, with nodes that come, fail and go.

The words are documented; the order of the phases and how long they last are believable inventions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any, Final

from simulator.charges import Line, unit_hours
from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.compute import nodes
from simulator.compute.agenda import Agenda, Tempo
from simulator.compute.nodes import Node, Step
from simulator.compute.prices import CLUSTER_GPU_HOUR, PREEMPTIBLE_SHARE, gpu_name
from simulator.compute.regions import GPUS_PER_NODE, DriverVersion
from simulator.compute.volumes import Volume
from simulator.identifiers import derive_number, derive_uuid

SCHEDULED: Final = "Scheduled"  # documented, not in the SDK's list
READY: Final = "Ready"
DEGRADED: Final = "Degraded"
PAUSED: Final = "Paused"
ON_DEMAND_PAUSED: Final = "OnDemandComputePaused"
DELETING: Final = "Deleting"
#: What a new cluster goes through, and after how long each begins (milliseconds), up to Ready.
_INSTALLATION: Final = (
    ("WaitingForControlPlaneNodes", 0),
    ("WaitingForDataPlaneNodes", 3 * MINUTE_MS),
    ("WaitingForSubnet", 9 * MINUTE_MS),
    ("WaitingForSharedVolume", 10 * MINUTE_MS),
    ("InstallingDrivers", 12 * MINUTE_MS),
    ("RunningAcceptanceTests", 20 * MINUTE_MS),
)
_READY_AFTER_MS: Final = 30 * MINUTE_MS
#: What a new node goes through while the cluster is up, up to Running.
_NODE_START: Final = (
    (nodes.SCHEDULING, MINUTE_MS),
    (nodes.BOOTING, 2 * MINUTE_MS),
    (nodes.BOOTSTRAPPING, 5 * MINUTE_MS),
    (nodes.RUNNING, 8 * MINUTE_MS),
)
STATES: Final = (
    *(SCHEDULED, *(name for name, _ in _INSTALLATION), READY, DEGRADED),
    *(PAUSED, ON_DEMAND_PAUSED, DELETING),
)
DELETE_MS: Final = 2 * MINUTE_MS
ALLOCATE_PREEMPTIBLE_MS: Final = 4 * MINUTE_MS
#: Compute that stays paused this long for want of credit is decommissioned ("later": the time is an invention).
PAUSE_LIMIT_MS: Final = DAY_MS
_ESTABLISHED: Final = frozenset({READY, DEGRADED})


@dataclass(frozen=True)
class Prepayment:
    """GPU-hours paid at once, not refunded."""

    at_ms: int
    gpu_hours: Fraction


@dataclass(frozen=True)
class NodeEvent:
    at_ms: int
    node_id: str
    reason: str
    message: str


@dataclass
class Cluster:
    """One cluster. `term_ms` is the length of a reservation; None = it has none."""

    cluster_id: str
    name: str
    project_id: str
    region: str
    gpu_type: str
    billing_type: str
    cluster_type: str
    driver: DriverVersion
    created_ms: int
    tempo: Tempo
    num_gpus: int
    num_reserved_gpus: int = 0
    desired_preemptible_gpus: int = 0
    auto_scale_max_gpus: int | None = None
    term_ms: int | None = None
    starts_ms: int | None = None  # of a reservation: scheduled, or when it became Ready
    ends_ms: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)  # what is answered as it was sent
    add_ons: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    former_nodes: list[Node] = field(default_factory=list)
    node_events: list[NodeEvent] = field(default_factory=list)
    remediations: list[Any] = field(default_factory=list)  # of simulator.compute.remediations
    prepayments: list[Prepayment] = field(default_factory=list)
    phases: list[tuple[int, str]] = field(default_factory=list)
    agenda: Agenda = field(default_factory=Agenda)
    first_ready_ms: int | None = None
    gone_ms: int | None = None
    find_free_gpus: Callable[["Cluster"], int] = lambda _: 1 << 30
    nodes_made: int = 0

    def __post_init__(self) -> None:
        self.least_gpus = self.num_gpus  # what automatic scaling goes back to

    @property
    def state(self) -> str:
        return self.phases[-1][1]

    @property
    def is_established(self) -> bool:
        return self.state in _ESTABLISHED

    @property
    def allocated_preemptible_gpus(self) -> int:
        return GPUS_PER_NODE * sum(node.payment == nodes.PREEMPTIBLE for node in self.nodes)

    def enter(self, at_ms: int, state: str) -> None:
        if not self.phases or state != self.state:
            self.phases.append((at_ms, state))

    # Life

    def order(self, at_ms: int) -> None:
        """Begin at once, or wait for the start of the reserved window."""
        if self.starts_ms is not None and self.starts_ms > at_ms:
            self.enter(at_ms, SCHEDULED)
            self.agenda.plan(self.starts_ms, "start", self.install)
        else:
            self.install(at_ms)

    def install(self, at_ms: int) -> None:
        for _ in range(self.num_gpus // GPUS_PER_NODE):
            self._add_node(at_ms, self._next_payment())
        for state, after_ms in _INSTALLATION:
            due_ms = at_ms + self.tempo.length(at_ms, after_ms) if after_ms else at_ms
            self.agenda.plan(due_ms, "install", partial(self._install_step, state))
        self.agenda.plan(at_ms + self.tempo.length(at_ms, _READY_AFTER_MS), "install", self.become_ready)
        if self.billing_type == "SCHEDULED_CAPACITY" and self.ends_ms is not None:
            self.agenda.plan(self.ends_ms, "end", self.decommission)
        self.agenda.play(at_ms)

    def _install_step(self, state: str, at_ms: int) -> None:
        self.enter(at_ms, state)
        phase = {"WaitingForDataPlaneNodes": nodes.SCHEDULING, "WaitingForSubnet": nodes.BOOTING}.get(state)
        if state == "InstallingDrivers":
            phase = nodes.BOOTSTRAPPING
        for node in self.nodes if phase else ():
            node.enter(at_ms, phase or node.phase)

    def become_ready(self, at_ms: int) -> None:
        for node in self.nodes:
            node.enter(at_ms, nodes.RUNNING)
        for volume in self.volumes:
            volume.attach(at_ms, self.cluster_id)
        self.enter(at_ms, READY)
        if self.first_ready_ms is not None:
            return
        self.first_ready_ms = at_ms
        if self.billing_type == "RESERVED" and self.term_ms is not None:
            self.starts_ms, self.ends_ms = at_ms, at_ms + self.term_ms
            self.agenda.plan(self.ends_ms, "end", self.decommission)
        if self.term_ms is not None:
            hours = Fraction(self.num_reserved_gpus * self.term_ms, HOUR_MS)
            self.prepayments.append(Prepayment(at_ms, hours))
        if self.desired_preemptible_gpus:
            self._await_preemptible(at_ms)

    def extend(self, at_ms: int, ends_ms: int) -> None:
        """Move the end of a prepaid reservation: more time is paid at once, less is not refunded."""
        if self.ends_ms is None:
            raise ValueError("the reservation has not begun")
        if ends_ms > self.ends_ms:
            hours = Fraction(self.num_reserved_gpus * (ends_ms - self.ends_ms), HOUR_MS)
            self.prepayments.append(Prepayment(at_ms, hours))
        self.ends_ms = ends_ms
        self.agenda.drop("end")
        self.agenda.plan(max(at_ms, ends_ms), "end", self.decommission)

    def decommission(self, at_ms: int) -> None:
        """Take the nodes away and let the cluster vanish shortly after."""
        if self.state == DELETING:
            return
        self.agenda.clear()
        self.enter(at_ms, DELETING)
        for node in self.nodes:
            node.enter(at_ms, nodes.SUCCEEDED)
        self.agenda.plan(at_ms + self.tempo.length(at_ms, DELETE_MS), "gone", self.vanish)

    def vanish(self, at_ms: int) -> None:
        self.agenda.clear()
        for node in self.nodes:
            node.enter(at_ms, nodes.SUCCEEDED)
        for volume in self.volumes:
            volume.release(at_ms)
        self.gone_ms = at_ms

    # Nodes

    def _next_payment(self) -> str:
        reserved = sum(node.payment == nodes.RESERVED for node in self.nodes)
        return nodes.RESERVED if reserved * GPUS_PER_NODE < self.num_reserved_gpus else nodes.ON_DEMAND

    def _add_node(self, at_ms: int, payment: str) -> Node:
        self.nodes_made += 1
        number = self.nodes_made
        digits = derive_number(self.cluster_id, number)
        name = f"{self.name[:40]}-gpu-{number:03d}"
        node = Node(
            node_id=derive_uuid(self.cluster_id, "node", number),
            instance_id=derive_uuid(self.cluster_id, "instance", number),
            name=name,
            address=f"10.{digits % 250}.{digits // 250 % 250}.{number % 250}",
            steps=[Step(at_ms, nodes.PENDING, payment)],
        )
        self.nodes.append(node)
        return node

    def add_running_node(self, at_ms: int, payment: str, *, reason: str = "TogetherScaledUp") -> Node:
        """Add a node to a cluster that is up; it runs after it has started."""
        node = self._add_node(at_ms, payment)
        self.start_node(node, at_ms)
        self.note_event(at_ms, node, reason, f"Node {node.name} was added")
        return node

    def start_node(self, node: Node, at_ms: int) -> None:
        for phase, after_ms in _NODE_START:
            due_ms = at_ms + self.tempo.length(at_ms, after_ms)
            self.agenda.plan(due_ms, node.node_id, partial(self._node_step, node, phase))

    def _node_step(self, node: Node, phase: str, at_ms: int) -> None:
        node.enter(at_ms, phase)
        self.settle(at_ms)

    def remove_node(self, node: Node, at_ms: int, *, reason: str, message: str) -> None:
        self.agenda.drop(node.node_id)
        self.nodes.remove(node)
        node.leave(at_ms)
        self.former_nodes.append(node)
        self.note_event(at_ms, node, reason, message)

    def note_event(self, at_ms: int, node: Node, reason: str, message: str) -> None:
        self.node_events.append(NodeEvent(at_ms, node.name, reason, message))

    def fail_node(self, node: Node, at_ms: int) -> None:
        self.agenda.drop(node.node_id)
        node.enter(at_ms, nodes.FAILED)
        self.settle(at_ms)

    def settle(self, at_ms: int) -> None:
        """Let an established cluster be Ready or Degraded, as its nodes are."""
        if self.is_established:
            failed = any(node.phase == nodes.FAILED for node in self.nodes)
            self.enter(at_ms, DEGRADED if failed else READY)

    # Size

    def resize(self, at_ms: int, num_gpus: int) -> None:
        """Add nodes, or let the newest go that nobody prepaid."""
        lasting = [node for node in self.nodes if node.payment != nodes.PREEMPTIBLE]
        surplus = len(lasting) - num_gpus // GPUS_PER_NODE
        self.num_gpus = num_gpus
        for _ in range(-surplus):
            self.add_running_node(at_ms, self._next_payment())
        movable = [node for node in reversed(lasting) if node.payment == nodes.ON_DEMAND]
        for node in movable[: max(0, surplus)]:
            self.remove_node(
                node, at_ms, reason="TogetherScaledDown", message=f"Node {node.name} was removed"
            )
        self.settle(at_ms)

    def follow_load(self, at_ms: int, gpus: int) -> None:
        """Scale an auto-scaled cluster between the size it was ordered with and its limit."""
        if self.auto_scale_max_gpus is None or not self.is_established:
            return
        wanted = -(-gpus // GPUS_PER_NODE) * GPUS_PER_NODE
        self.resize(at_ms, max(self.least_gpus, min(self.auto_scale_max_gpus, wanted)))

    def reserve(self, at_ms: int, num_reserved_gpus: int) -> None:
        """Prepay further GPUs for the rest of the term; their nodes stop costing by the hour."""
        added = num_reserved_gpus - self.num_reserved_gpus
        self.num_reserved_gpus = num_reserved_gpus
        for node in self.nodes:
            if node.payment == nodes.ON_DEMAND and self._next_payment() == nodes.RESERVED:
                node.pay_as(at_ms, nodes.RESERVED)
        if self.ends_ms is not None and self.first_ready_ms is not None:
            hours = Fraction(added * (self.ends_ms - at_ms), HOUR_MS)
            self.prepayments.append(Prepayment(at_ms, hours))

    def want_preemptible(self, at_ms: int, gpus: int) -> None:
        """Ask for cheaper nodes; they come when there is room, and go at once when fewer are wanted."""
        self.desired_preemptible_gpus = gpus
        while self.allocated_preemptible_gpus > gpus:
            node = next(node for node in reversed(self.nodes) if node.payment == nodes.PREEMPTIBLE)
            self.remove_node(
                node, at_ms, reason="TogetherScaledDown", message=f"Node {node.name} was removed"
            )
        if self.first_ready_ms is not None and self.allocated_preemptible_gpus < gpus:
            self._await_preemptible(at_ms)

    def _await_preemptible(self, at_ms: int) -> None:
        self.agenda.drop("preemptible")
        due_ms = at_ms + self.tempo.length(at_ms, ALLOCATE_PREEMPTIBLE_MS)
        self.agenda.plan(due_ms, "preemptible", self._allocate_preemptible)

    def _allocate_preemptible(self, at_ms: int) -> None:
        missing = self.desired_preemptible_gpus - self.allocated_preemptible_gpus
        for _ in range(min(missing, self.find_free_gpus(self)) // GPUS_PER_NODE):
            self.add_running_node(at_ms, nodes.PREEMPTIBLE)

    def preempt(self, at_ms: int) -> int:
        """Take all preemptible nodes back, as the provider may at any time; return how many went."""
        taken = [node for node in self.nodes if node.payment == nodes.PREEMPTIBLE]
        for node in taken:
            self.remove_node(
                node, at_ms, reason="TogetherPreempted", message=f"Node {node.name} was preempted"
            )
        return len(taken)

    # Credit

    def pause_on_demand(self, at_ms: int) -> None:
        """Stop the nodes that cost by the hour: the credit is used up."""
        paid_later = [node for node in self.nodes if node.payment != nodes.RESERVED]
        if not self.is_established or not paid_later:
            return
        for node in paid_later:
            self.agenda.drop(node.node_id)
            node.enter(at_ms, nodes.PAUSED)
        self.enter(at_ms, ON_DEMAND_PAUSED)
        if not self.num_reserved_gpus:
            self.agenda.plan(at_ms + PAUSE_LIMIT_MS, "credit", self.decommission)

    def resume_on_demand(self, at_ms: int) -> None:
        if self.state != ON_DEMAND_PAUSED:
            return
        self.agenda.drop("credit")
        for node in self.nodes:
            if node.phase == nodes.PAUSED:
                self.start_node(node, at_ms)
        self.enter(at_ms, READY)
        self.settle(at_ms)

    # Money

    def charge(self, start_ms: int, end_ms: int) -> Iterator[Line]:
        """Yield what the window cost: one line per way to pay by the hour, and prepayments at their instant."""
        on_demand, reserved = CLUSTER_GPU_HOUR[self.gpu_type]
        hourly = ((nodes.ON_DEMAND, on_demand), (nodes.PREEMPTIBLE, on_demand * PREEMPTIBLE_SHARE))
        every = (*self.nodes, *self.former_nodes)
        for payment, price in hourly:
            gpu_ms = sum(node.count_running_ms(start_ms, end_ms, payment) for node in every)
            if gpu_ms:
                yield self._line(max(start_ms, self.created_ms), end_ms, unit_hours(gpu_ms), price, payment)
        for paid in self.prepayments:
            if start_ms <= paid.at_ms < end_ms:
                yield self._line(paid.at_ms, paid.at_ms, paid.gpu_hours, reserved, self.billing_type)

    def _line(
        self, start_ms: int, end_ms: int, gpu_hours: Fraction, price: Fraction, billing_type: str
    ) -> Line:
        return Line(
            start_ms, end_ms, f"GPU Cluster - {gpu_name(self.gpu_type)}", gpu_hours, price, gpu_hours * price,
            {"gpu_type": self.gpu_type, "billing_type": billing_type}, {"cluster_id": self.cluster_id},
            self.project_id, self.name,
        )  # fmt: skip
