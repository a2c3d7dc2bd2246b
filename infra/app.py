"""The entry that the CDK calls: reads the context, builds the stack, has it checked, writes the templates."""

import sys

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra.acknowledged import acknowledge
from infra.context import BadContext, Context
from infra.stack import PlaybyplayStack


def main() -> int:
    """Synthesise; 1 and one sentence where a context value is wrong."""
    app = App(analytics_reporting=False)
    try:
        context = Context.read(app.node.get_all_context())
    except BadContext as bad:
        sys.stderr.write(f"{bad}\n")
        return 1
    stack = PlaybyplayStack(app, context)
    if context.platform == "aws":  # what a local cloud gets is the same but for a few resources less
        acknowledge(stack)
        check(app)
    app.synth()
    return 0


def check(app: App) -> None:
    """Have cdk-nag look at what is synthesised; a finding that is not acknowledged fails it."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))


if __name__ == "__main__":
    sys.exit(main())
