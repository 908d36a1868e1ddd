"""A real object store to test against: OpenStack Swift, installed from the package index into an environment of its own.

    with running() as url: …          Swift answers at `url`, empty, until the block ends

The environment is made once for a machine and a user, below the user's cache directory, under a lock, so that test workers started
together make it together; its requirements contradict none of ours, because it shares nothing with us. `swift_server.py` beside this
file is what runs in it. The server looks for its parent twice a second and ends without it: tests that are killed leave none behind.

What a machine may lack is said by `Unavailable`: a file system with extended attributes, `venv`, or a package index.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

WANTED = ("swift==2.38.3", "setuptools<81")
"""Swift loads its servers through what setuptools was once part of Python for."""
KEYS = {"AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
_SERVER = Path(__file__).with_name("swift_server.py")


class Unavailable(Exception):
    """This machine cannot run Swift; the message says what it lacks."""


@contextmanager
def running() -> Iterator[str]:
    """Swift's S3 address while the block runs.

    Raises:
        Unavailable: see the class.
    """
    python = environment()
    folder = _folder()
    errors = folder / "log"
    with errors.open("wb") as log:
        command = [str(python), "-P", "-W", "ignore", str(_SERVER), str(folder), str(os.getpid())]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"Swift did not start: {errors.read_text(errors='replace')[-2000:]}")
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def environment() -> Path:
    """The Python that has Swift; installed now when it is not there yet."""
    home = _cache() / f"swift-{sys.version_info.major}.{sys.version_info.minor}"
    home.parent.mkdir(parents=True, exist_ok=True)
    python, complete = home / "bin" / "python", home / "complete"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (complete.exists() and complete.read_text() == repr(WANTED) and python.exists()):
            shutil.rmtree(home, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(home))
            _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", *WANTED)
            complete.write_text(repr(WANTED))
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Unavailable(f"{' '.join(command[1:4])} failed: {' '.join(last)}")


def _cache() -> Path:
    """Where the environment is kept; a temporary place of the user's where there is no cache to write to."""
    wanted = Path(platformdirs.user_cache_dir("artifact-lineage-tests"))
    with suppress(OSError):
        wanted.mkdir(parents=True, exist_ok=True)
    return wanted if os.access(wanted, os.W_OK) else Path(tempfile.gettempdir()) / f"artifact-lineage-tests-{os.getuid()}"


def _folder() -> Path:
    """A new folder, on a file system that keeps extended attributes."""
    for root in dict.fromkeys((Path(tempfile.gettempdir()), _cache())):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=root) as probe:
            try:
                os.setxattr(probe.name, "user.lineage", b"x" * 500)
            except (OSError, AttributeError):
                continue
        return Path(tempfile.mkdtemp(prefix="swift-", dir=root))
    raise Unavailable("Swift keeps its metadata in extended attributes, and neither the temporary nor the cache directory has any")
