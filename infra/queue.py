"""The jobs, and those that no runner could finish."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk.aws_sqs import DeadLetterQueue, Queue, QueueEncryption
from constructs import Construct

# Lambda takes no smaller one than the runner's time limit, and the runner shortens it as its first act.
VISIBILITY_S = 900
# A job that came twice finds its run held and comes back every 30 s, 120 times in the hour a run may take. More than
# 250 is a job that nobody can finish; at 900 s apiece it still ends here in time.
MAX_RECEIVES = 250
_KEPT_DAYS = 4
_DEAD_KEPT_DAYS = 14  # SQS's longest; https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html


class JobQueue(Construct):
    """A standard queue: order is the journal's business, and a run never waits behind a stranger's."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.dead = self._queue("DeadLetters", Duration.days(_DEAD_KEPT_DAYS))
        letters = DeadLetterQueue(queue=self.dead, max_receive_count=MAX_RECEIVES)
        self.jobs = self._queue("Jobs", Duration.days(_KEPT_DAYS), letters)

    def _queue(self, name: str, kept: Duration, letters: DeadLetterQueue | None = None) -> Queue:
        return Queue(
            self,
            name,
            visibility_timeout=Duration.seconds(VISIBILITY_S),
            retention_period=kept,
            encryption=QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=letters,
            removal_policy=RemovalPolicy.DESTROY,
        )
