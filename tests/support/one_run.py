# ruff: noqa: T201
"""Short runs that sign in, call an API some times and end, each a process of its own.

Importing takes longer than such a run, so one process imports and forks the others: it reads
`{"config": …, "output": path}` lines and answers each with the new process's ID.
"""

import json
import os
import signal
import sys
import threading
import time

import requests

from tap_autodesk_exports import signals
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn


def run(config, *, waits):
    """Sign in and call an API.

    Args:
        config: The settings.
        waits: Whether a thread waits for signals, as in a run of the tap.
    """
    stop = threading.Event()
    if waits:
        signals.Signals(stop, threading.RLock(), lambda: None).begin()
    sign_in = SignIn.from_settings(Settings.from_config(config), Clock())
    for _ in range(5):
        if stop.is_set():
            break
        headers = sign_in.headers(Api.INSIGHTS)
        url = f"{config['api_url']}/insights/v1/guarded"
        if requests.get(url, headers=headers, timeout=10).status_code == 401:
            sign_in.renew(Api.INSIGHTS, headers)
        else:
            print("signed in", flush=True)
        time.sleep(0.05)


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forked processes
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        run(order["config"], waits=order["waits"])
        print("done", flush=True)
        return


if __name__ == "__main__":
    main()
