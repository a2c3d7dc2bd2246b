"""The three tables of `docs/aws.md`, their indexes and what is kept how long."""

from aws_cdk import RemovalPolicy
from aws_cdk.aws_dynamodb import (
    Attribute,
    AttributeType,
    Billing,
    GlobalSecondaryIndexPropsV2,
    LocalSecondaryIndexProps,
    PointInTimeRecoverySpecification,
    ProjectionType,
    TableEncryptionV2,
    TableV2,
)
from constructs import Construct

from playbyplay.adapters import tables

_PK = Attribute(name=tables.PK, type=AttributeType.STRING)
_SK = Attribute(name=tables.SK, type=AttributeType.STRING)


class Storage(Construct):
    """Runs and journal can be restored to any second of the last 35 days; connections are not worth it.

    Args:
        keep: whether runs and journal outlive the stack.
    """

    def __init__(self, scope: Construct, name: str, *, keep: bool) -> None:
        super().__init__(scope, name)
        kept = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY
        by_age = LocalSecondaryIndexProps(
            index_name=tables.OPEN_BY_AGE,
            sort_key=Attribute(name=tables.OPEN_SINCE, type=AttributeType.STRING),
            projection_type=ProjectionType.ALL,
        )
        by_check = GlobalSecondaryIndexPropsV2(
            index_name=tables.OPEN_BY_NEXT_CHECK,
            partition_key=Attribute(name=tables.OPEN_SHARD, type=AttributeType.STRING),
            sort_key=Attribute(name=tables.NEXT_CHECK, type=AttributeType.NUMBER),
            projection_type=ProjectionType.INCLUDE,
            non_key_attributes=list(tables.CHECK_SHOWS),
        )
        by_end = GlobalSecondaryIndexPropsV2(
            index_name=tables.RUNS_BY_END,
            partition_key=Attribute(name=tables.ENDED_SHARD, type=AttributeType.STRING),
            sort_key=Attribute(name=tables.ENDED, type=AttributeType.NUMBER),
            projection_type=ProjectionType.KEYS_ONLY,
        )
        by_session = GlobalSecondaryIndexPropsV2(
            index_name=tables.ENDING_SESSIONS,
            partition_key=Attribute(name=tables.SESSION_SHARD, type=AttributeType.STRING),
            sort_key=Attribute(name=tables.SESSION_ENDS, type=AttributeType.NUMBER),
            projection_type=ProjectionType.KEYS_ONLY,
        )
        self.runs = self._table("Runs", kept, restorable=True, local=[by_age], across=[by_check, by_end])
        self.journal = self._table("Journal", kept, restorable=True)
        self.connections = self._table("Connections", RemovalPolicy.DESTROY, restorable=False, across=[by_session])

    def _table(
        self,
        name: str,
        kept: RemovalPolicy,
        *,
        restorable: bool,
        local: list[LocalSecondaryIndexProps] | None = None,
        across: list[GlobalSecondaryIndexPropsV2] | None = None,
    ) -> TableV2:
        return TableV2(
            self,
            name,
            partition_key=_PK,
            sort_key=_SK,
            billing=Billing.on_demand(),
            # DynamoDB's own key: encrypted at rest, nothing to pay and no key policy to get wrong.
            encryption=TableEncryptionV2.dynamo_owned_key(),
            point_in_time_recovery_specification=PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=restorable
            ),
            time_to_live_attribute=tables.TTL,
            local_secondary_indexes=local,
            global_secondary_indexes=across,
            removal_policy=kept,
        )
