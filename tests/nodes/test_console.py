"""The console's command, with a real manager behind a real API server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import urllib.request

from local.machine.paths import PROJECT_FOLDER
from tests.nodes.conftest import Kubectl
from tests.nodes.installation import NAMESPACE, Installation
from tests.waiting import wait_until


def test_the_console_opens_outlives_its_manager_and_ends_with_ctrl_c(
    installation: Installation, kubectl: Kubectl
) -> None:
    stack = installation.stack
    command = [stack.engine.python, "-m", "dragonfly.console", f"--stack={stack.name}", "--port=0", "--no-browser"]
    with subprocess.Popen(
        command,
        cwd=PROJECT_FOLDER,
        env={**os.environ, **stack.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as console:
        assert console.stdout is not None
        try:
            said = [console.stdout.readline() for _ in range(3)]
            found = re.match(r"Console: (http://localhost:\d+), user root; its password:\n", said[0])
            assert found
            assert said[1:] == [
                f"  pulumi stack output consoleRootPassword --show-secrets --stack {stack.name}\n",
                "Ctrl-C ends.\n",
            ]

            def answers() -> bool:
                try:
                    with urllib.request.urlopen(f"{found[1]}/healthy", timeout=5) as page:
                        return page.status == 200
                except OSError:
                    return False

            assert answers()
            kubectl(
                "delete", "pod", f"--namespace={NAMESPACE}", "--selector=app.kubernetes.io/component=dragonfly-manager"
            )
            wait_until(answers, "the next manager answers", 60)
            console.send_signal(signal.SIGINT)
            assert console.wait(10) == 0
        finally:
            console.kill()
