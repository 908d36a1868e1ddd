"""OpenStack Swift with its S3 face, all four servers in one process on the loopback interface.

Run by the Python of an environment that has `swift`, never imported by tests: `python swift_server.py FOLDER PARENT`. It prints the port
it answers on once it does, and ends, with everything it stored, when it is told to or when the process PARENT is no more.

What is configured is what the tests need: one device, one replica, versioned containers, one user, no daemons. The account, container and
object servers each take a free port, the rings say which, and the proxy server stands in front with the filters in their usual order. In
place of memcached, without which every request looks up its account and container again, stands a dictionary.
"""

# ruff: noqa: E402  # eventlet patches the standard library before anybody else imports it

import eventlet

eventlet.monkey_patch()

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import eventlet.wsgi
from swift.common import utils, wsgi
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.ring import RingBuilder

USER, KEY = "test:tester", "testing"
STORES = ("account", "container", "object")
FILTERS = ["catch_errors", "listing_formats", "bulk", "s3api", "tempauth", "copy", "slo", "dlo", "versioned_writes", "symlink"]
OPTIONS = {
    "tempauth": {"user_" + USER.replace(":", "_"): f"{KEY} .admin"},
    "s3api": {"s3_acl": "no", "auth_pipeline_check": "no", "location": "us-east-1", "max_parts_listing": "10000"},
    "versioned_writes": {"allow_versioned_writes": "true", "allow_object_versioning": "true"},
}
HASHING = """
[swift-hash]
swift_hash_path_prefix = lineage
swift_hash_path_suffix = lineage
[storage-policy:0]
name = only
default = yes
"""


class Remembered:
    """What Swift asks of a memcached: values with a time to live."""

    def __init__(self):
        self._kept = {}

    def get(self, key, raise_on_error=False):
        value, until = self._kept.get(key, (None, 0))
        return value if until == 0 or time.time() < until else None

    def set(self, key, value, serialize=True, time=0, **_):
        self._kept[key] = (value, _until(time))

    def incr(self, key, delta=1, time=0):
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -int(delta), time)

    def delete(self, key, server_key=None):
        self._kept.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, **_):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, server_key):
        return [self.get(key) for key in keys]


def _until(seconds):
    return time.time() + seconds if seconds else 0


def section(name, options):
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


def settings(folder, port):
    return section("DEFAULT", {"bind_ip": "127.0.0.1", "bind_port": port, "swift_dir": folder, "log_level": "CRITICAL"})


def store_config(folder, kind, port):
    """One of the three servers that keep things."""
    devices = {"devices": f"{folder}/devices", "mount_check": "false", "fallocate_reserve": "0"}
    app = section("app:main", {"use": f"egg:swift#{kind}"})
    return settings(folder, port) + "".join(f"{key} = {value}\n" for key, value in devices.items()) + app


def front_config(folder, port):
    """The server the others stand behind, which speaks Swift's own language and S3."""
    filters = "".join(section(f"filter:{name}", {"use": f"egg:swift#{name}", **OPTIONS.get(name, {})}) for name in FILTERS)
    app = section("app:proxy-server", {"use": "egg:swift#proxy", "allow_account_management": "true", "account_autocreate": "true"})
    return settings(folder, port) + section("pipeline:main", {"pipeline": " ".join([*FILTERS, "proxy-server"])}) + app + filters


def write_ring(folder, kind, port):
    """A ring of one device: everything of this kind is at that port."""
    builder = RingBuilder(4, 1, 0)
    place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port, "device": "disk", "meta": ""}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, **place})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")


def remembering(app):
    kept = Remembered()

    def ask(environ, start_response):
        environ["swift.cache"] = kept
        return app(environ, start_response)

    return ask


def serve(socket, app, pool):
    eventlet.spawn(eventlet.wsgi.server, socket, app, custom_pool=pool, log_output=False, protocol=SwiftHttpProtocol)


def start(folder):
    """The port of the front, which answers from now on."""
    Path(folder, "devices", "disk").mkdir(parents=True)
    Path(folder, "swift.conf").write_text(HASHING)
    utils.set_swift_dir(folder)
    sockets = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in (*STORES, "front")}
    ports = {kind: socket.getsockname()[1] for kind, socket in sockets.items()}
    pool = eventlet.GreenPool(1000)
    for kind in STORES:
        write_ring(folder, kind, ports[kind])
    for kind in STORES:
        serve(sockets[kind], wsgi.loadapp(wsgi.ConfigString(store_config(folder, kind, ports[kind]))), pool)
    front = wsgi.loadapp(wsgi.ConfigString(front_config(folder, ports["front"])))
    serve(sockets["front"], remembering(front), pool)
    return ports["front"]


def main():
    folder, parent = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        print(start(folder), flush=True)
        while os.getppid() == parent:
            eventlet.sleep(0.5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
