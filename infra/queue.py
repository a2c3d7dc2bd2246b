"""The jobs, and those that no runner could finish."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk.aws_sqs import DeadLetterQueue, Queue, QueueEncryption
from constructs import Construct

# Lambda takes no smaller one than the runner's time limit, and the runner shortens it as its first act.
VISIBILITY_S = 900
# A job that came twice finds its run held and comes back every 30 s, 120 times in the hour a run may take. More than
# 250 is a job that nobody can finish; at 900 s apiece it still ends here in time.
MAX_RECEIVES = 250
# As AWS advises, six times the time limit of who looks at them. A letter that could not be looked at comes again after
# so long, and again until it is no longer kept: this queue has no dead letters of its own.
DEAD_VISIBILITY_S = 330
_KEPT_DAYS = 4
# SQS's longest. It counts from when the job was sent, so ten days are left at the least.
_DEAD_KEPT_DAYS = (
    14  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
)


class JobQueue(Construct):
    """A standard queue: order is the journal's business, and a run never waits behind a stranger's."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.dead = self._queue("DeadLetters", hidden_s=DEAD_VISIBILITY_S, kept=Duration.days(_DEAD_KEPT_DAYS))
        letters = DeadLetterQueue(queue=self.dead, max_receive_count=MAX_RECEIVES)
        self.jobs = self._queue("Jobs", hidden_s=VISIBILITY_S, kept=Duration.days(_KEPT_DAYS), letters=letters)

    def _queue(self, name: str, *, hidden_s: int, kept: Duration, letters: DeadLetterQueue | None = None) -> Queue:
        return Queue(
            self,
            name,
            visibility_timeout=Duration.seconds(hidden_s),
            retention_period=kept,
            encryption=QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=letters,
            removal_policy=RemovalPolicy.DESTROY,
        )
