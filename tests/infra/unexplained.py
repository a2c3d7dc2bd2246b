"""The app with no finding explained: `python -m tests.infra.unexplained`; the checks then report them all."""

from aws_cdk import App

from infra.app import check
from infra.context import Context
from infra.stack import PlaybyplayStack

if __name__ == "__main__":
    app = App(analytics_reporting=False)
    PlaybyplayStack(app, Context.read(app.node.get_all_context()))
    check(app)
    app.synth()
