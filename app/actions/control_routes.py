"""``/action-stop``, ``/action-limits``, ``/action-sites`` and ``/approval-policies``: what may hold or needs whom."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.actions.limits import Limit, Rule
from app.actions.policies import ANY, MAX_PEOPLE, Policy
from app.actions.schemas import StopIn, StopOut
from app.services import ActorDep, ServicesDep

router = APIRouter(tags=["actions"])

_Name = Annotated[str, Field(min_length=1, max_length=100)]
_AccountLabel = Annotated[str, Field(max_length=150, pattern=r"^(\*|[\w.\-]+:@?[\w.\-]+)$")]


class LimitIn(BaseModel):
    """A limit: its rule, and the site (``host``) and account (``platform:handle``) that it concerns; ``*`` for all."""

    model_config = ConfigDict(extra="forbid")

    rule: Rule
    target: Annotated[str, Field(min_length=1, max_length=300)] = ANY
    account: _AccountLabel = ANY


class LimitOut(BaseModel):
    """A limit, with its rule in words."""

    id: str
    rule: Rule
    words: str
    target: str
    account: str
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, limit: Limit) -> LimitOut:
        """The wire form of a limit."""
        return cls(
            id=limit.id,
            rule=limit.rule,
            words=limit.rule.words(),
            target=limit.target,
            account=limit.account,
            created_by=limit.created_by,
            created_at=limit.created_at,
        )


class LimitsOut(BaseModel):
    """Every limit."""

    limits: list[LimitOut]


class SiteOut(BaseModel):
    """A site that has failed and not worked since."""

    model_config = ConfigDict(from_attributes=True)

    target: str
    failures: int
    reason: str
    rest_until: datetime | None


class SitesOut(BaseModel):
    """The sites that have failed lately."""

    sites: list[SiteOut]


class PolicyIn(BaseModel):
    """An approval policy; ``*`` stands for every type, account or risk."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    type: _Name = ANY
    account: _AccountLabel = ANY
    risk: Literal["*", "read", "write"] = "*"
    amount_above_minor: Annotated[int | None, Field(ge=0)] = None
    approvers: Annotated[
        list[Annotated[str, Field(max_length=100, pattern=r"^(\*|(role|user):[\w.@+\-]+)$")]],
        Field(min_length=1, max_length=50),
    ] = [ANY]
    people_needed: Annotated[int, Field(ge=1, le=MAX_PEOPLE)] = 1
    is_auto: bool = False


class PolicyOut(PolicyIn):
    """An approval policy as it is stored."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    id: str
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, policy: Policy) -> PolicyOut:
        """The wire form of a policy."""
        values: dict[str, Any] = {name: getattr(policy, name) for name in cls.model_fields}
        return cls(**values | {"approvers": list(policy.approvers)})


class PoliciesOut(BaseModel):
    """Every approval policy."""

    policies: list[PolicyOut]


@router.get("/action-stop")
def get_stop(services: ServicesDep) -> StopOut:
    """Whether all actions are stopped."""
    stop = services.holds.current_stop()
    return StopOut.of(stop) if stop else StopOut(is_stopped=False)


@router.post("/action-stop")
def stop_actions(services: ServicesDep, actor: ActorDep, body: StopIn | None = None) -> StopOut:
    """Hold every action before its next irreversible step."""
    return StopOut.of(services.holds.stop(actor=str(actor), reason=body.reason if body else ""))


@router.delete("/action-stop")
def resume_actions(services: ServicesDep, actor: ActorDep) -> StopOut:
    """Lift the stop; the worker takes up what waited."""
    services.holds.resume(actor=str(actor))
    return StopOut(is_stopped=False)


@router.get("/action-sites")
def list_sites(services: ServicesDep) -> SitesOut:
    """The sites that have failed lately, and until when they are left alone."""
    return SitesOut(sites=[SiteOut.model_validate(site) for site in services.holds.sites()])


@router.get("/action-limits")
def list_limits(services: ServicesDep) -> LimitsOut:
    """Every limit."""
    return LimitsOut(limits=[LimitOut.of(limit) for limit in services.holds.limits()])


@router.post("/action-limits", status_code=201)
def add_limit(body: LimitIn, services: ServicesDep, actor: ActorDep) -> LimitOut:
    """Add a limit; it counts from the next step on."""
    limit = services.holds.add_limit(body.rule, target=body.target, account=body.account, actor=str(actor))
    return LimitOut.of(limit)


@router.delete("/action-limits/{limit_id}", status_code=204)
def remove_limit(limit_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Remove a limit."""
    services.holds.remove_limit(limit_id, actor=str(actor))


@router.get("/approval-policies")
def list_policies(services: ServicesDep) -> PoliciesOut:
    """Every approval policy."""
    return PoliciesOut(policies=[PolicyOut.of(policy) for policy in services.policies.all()])


@router.post("/approval-policies", status_code=201)
def add_policy(body: PolicyIn, services: ServicesDep, actor: ActorDep) -> PolicyOut:
    """Add a policy; it counts for what is approved from now on."""
    values = body.model_dump()
    policy = services.policies.add(values.pop("name"), actor=str(actor), type_name=values.pop("type"), **values)
    return PolicyOut.of(policy)


@router.delete("/approval-policies/{policy_id}", status_code=204)
def remove_policy(policy_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Remove a policy."""
    services.policies.remove(policy_id, actor=str(actor))
