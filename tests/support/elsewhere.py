"""The tap, or its companion, as on a system that is no POSIX: `elsewhere.py PROGRAM ARGUMENTS…`.

What only POSIX has cannot be imported and is not in `os`, `signal` and `socket`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "posix_ipc", "readline",
           "syslog", "crypt", "spwd")  # fmt: skip
OF_OS = ("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getgroups", "killpg",
         "setsid", "setuid", "setgid", "getpgid", "getpgrp", "setpgid", "chown", "fchown",
         "lchown", "mkfifo", "uname", "sysconf", "statvfs", "fstatvfs", "wait4",
         "wait3", "nice", "getloadavg", "sched_getaffinity", "pread", "pwrite", "posix_spawn",
         "register_at_fork", "WNOHANG", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC",
         "sync", "openpty")  # fmt: skip
OF_SIGNAL = ("SIGHUP", "SIGPIPE", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGQUIT",
             "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGWINCH", "pthread_sigmask", "pthread_kill",
             "sigwait", "sigwaitinfo", "sigtimedwait", "sigpending", "setitimer", "alarm", "pause",
             "siginterrupt")  # fmt: skip


def socketpair() -> tuple[socket.socket, socket.socket]:
    """Return two sockets that are connected, as Python makes them on Windows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    return one, other


def main() -> None:
    # What is loaded by now needs no other system: only what the program asks for is at stake.
    # The forms that filelock and subprocess have for this system ask for O_NONBLOCK, fchmod and
    # SIGKILL later.
    import multiprocessing.util  # noqa: F401
    import platform
    import subprocess  # noqa: F401
    import tempfile  # noqa: F401

    import filelock  # noqa: F401
    import platformdirs  # noqa: F401

    platform.uname()
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL), (socket, ("AF_UNIX",))):
        for name in names:
            vars(module).pop(name, None)
    socket.socketpair = socketpair  # type: ignore[assignment]
    program, *arguments = sys.argv[1:]
    sys.argv = [program, *arguments]
    if program == "tap-autodesk-exports":
        from tap_autodesk_exports.tap import TapAutodeskExports

        TapAutodeskExports.cli(arguments, prog_name=program)
    else:
        from tap_autodesk_exports import cli

        cli.main(arguments, prog_name=program)


if __name__ == "__main__":
    main()
